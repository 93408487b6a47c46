import type { Counts } from "../../TraceIndex.ts"
import { Numbers } from "./numbers.ts"

/** `Counts` of many things, which are numbers. */
export class Sums {
  readonly #counts = {
    asked: new Numbers(),
    replayed: new Numbers(),
    bought: new Numbers(),
    missed: new Numbers(),
    racing: new Numbers(),
    failed: new Numbers(),
    spentTokens: new Numbers(),
    replayedTokens: new Numbers()
  }

  add(of: number, count: keyof Counts, amount: number): void {
    this.#counts[count].add(of, amount)
  }

  counts(of: number): Counts {
    const { asked, bought, failed, missed, racing, replayed, replayedTokens, spentTokens } = this.#counts
    return {
      asked: asked.get(of),
      replayed: replayed.get(of),
      bought: bought.get(of),
      missed: missed.get(of),
      racing: racing.get(of),
      failed: failed.get(of),
      spentTokens: spentTokens.get(of),
      replayedTokens: replayedTokens.get(of)
    }
  }

  /** Those with most draws, or with most tokens spent; of equals, with most tokens replayed. The greatest comes first. */
  greatest(by: "tokens" | "asked", count: number): ReadonlyArray<number> {
    const { asked, replayedTokens, spentTokens } = this.#counts
    const first = by === "asked" ? asked : spentTokens
    const isMore = (a: number, b: number) =>
      first.get(a) > first.get(b)
      || by === "tokens" && first.get(a) === first.get(b) && replayedTokens.get(a) > replayedTokens.get(b)
    const found: Array<number> = []
    for (let of = 0; of < asked.length; of++) {
      if (first.get(of) === 0 && (by === "asked" || replayedTokens.get(of) === 0)) continue
      if (found.length === count && !isMore(of, found.at(-1)!)) continue
      let place = found.length
      while (place > 0 && isMore(of, found[place - 1]!)) place--
      found.splice(place, 0, of)
      if (found.length > count) found.pop()
    }
    return found
  }
}
