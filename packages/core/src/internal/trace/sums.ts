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

  /** Those with most draws or tokens, the greatest first. */
  greatest(by: "tokens" | "asked", count: number): ReadonlyArray<number> {
    const { asked, replayedTokens, spentTokens } = this.#counts
    const amountOf = (of: number) => by === "asked" ? asked.get(of) : spentTokens.get(of) + replayedTokens.get(of)
    const found: Array<number> = []
    for (let of = 0; of < asked.length; of++) {
      const amount = amountOf(of)
      if (amount === 0 || (found.length === count && amount <= amountOf(found.at(-1)!))) continue
      let place = found.length
      while (place > 0 && amountOf(found[place - 1]!) < amount) place--
      found.splice(place, 0, of)
      if (found.length > count) found.pop()
    }
    return found
  }
}
