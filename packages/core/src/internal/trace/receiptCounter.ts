import type { Receipt } from "./entry.ts"
import { Numbers } from "./numbers.ts"

/** Numbers by key. A server has thousands of runs with a few keys. */
class ByKey {
  #first = 0
  #others: Numbers | undefined

  get(key: number): number {
    return key === 0 ? this.#first : this.#others?.get(key - 1) ?? 0
  }

  set(key: number, value: number): void {
    if (key === 0) this.#first = value
    else (this.#others ??= new Numbers()).set(key - 1, value)
  }
}

type Mutable<A> = { -readonly [name in keyof A]: A[name] }

/** The kind of a hit: the first draw of a sample that the run requested, or that it did not, or a later draw. */
export type HitKind = "bought" | "replayed" | "reread"

/** Positions of a key in one store, behind a gap or requested. */
interface Others {
  /** Handed out, behind a position that was not. */
  later: Set<number> | undefined
  /** Missing, and requested. */
  missing: Set<number> | undefined
}

/** Counts the draws and requests of a run, by the lines of its trace or as they are written. Keys and stores are numbers. */
export class ReceiptCounter {
  readonly #counts: Mutable<Omit<Receipt, "isReplay" | "bypassed" | "asked">> = {
    replayed: 0,
    bought: 0,
    missed: 0,
    failed: 0,
    racing: 0,
    reread: 0,
    inputTokens: 0,
    outputTokens: 0,
    replayedInputTokens: 0,
    replayedOutputTokens: 0,
    exit: undefined,
    isCut: false
  }
  #misses = 0
  #hits = 0
  /** By store and key: one more than the number of positions from 0 on that were handed out, 0 for a key without draws. */
  #handed: ReadonlyArray<ByKey> = []
  #others: Map<string, Others> | undefined
  /** Draws that missed a cache above another one, as `Repeatable` is, and that the other one answers. */
  #passed: Set<string> | undefined
  #sent: Set<string> | undefined
  /** How many samples each request brought that no cache stored. */
  #unstored: Map<string, number> | undefined
  #bypassed = 0

  hit(key: number, store: number, position: number, request: string | undefined): HitKind {
    this.#hits++
    const isFirst = this.#handOut(key, store, position)
    if (isFirst && request !== undefined && this.#sent?.has(request)) {
      this.#counts.bought++
      return "bought"
    }
    if (!isFirst) this.#counts.reread++
    this.#counts.replayed++
    return isFirst ? "replayed" : "reread"
  }

  /** The tokens of a past request. */
  replayedTokens(input: number, output: number): void {
    this.#counts.replayedInputTokens += input
    this.#counts.replayedOutputTokens += output
  }

  miss(key: number, store: number, position: number, asks: string): void {
    if (asks === "cache") {
      this.#passed = (this.#passed ?? new Set()).add(`${key} ${store} ${position}`)
      return
    }
    this.#misses++
    if (asks === "nothing") {
      this.#counts.missed++
      return
    }
    this.#touch(key, store)
    const others = this.#othersOf(key, store)
    const missing = others.missing ??= new Set()
    missing.add(position)
  }

  stored(key: number, store: number, position: number, request: string | undefined): void {
    if (request !== undefined && this.#unstored !== undefined) {
      this.#bypassed -= this.#unstored.get(request) ?? 0
      this.#unstored.delete(request)
      if (this.#unstored.size === 0) this.#unstored = undefined
    }
    this.#touch(key, store)
    const others = this.#others?.get(`${key} ${store}`)
    // The draw that missed it gets it.
    if (others?.missing?.delete(position)) {
      if (others.missing.size === 0) others.missing = undefined
      this.#drop(key, store, others)
      if (this.#handOut(key, store, position)) this.#counts.bought++
    }
    // The cache below counted it.
    if (this.#passed?.delete(`${key} ${store} ${position}`)) this.#handOut(key, store, position)
  }

  done(request: string, samples: number, input: number, output: number): void {
    this.#sent = (this.#sent ?? new Set()).add(request)
    this.#unstored = (this.#unstored ?? new Map()).set(request, samples)
    this.#bypassed += samples
    this.#counts.inputTokens += input
    this.#counts.outputTokens += output
  }

  failed(): void {
    this.#counts.failed++
  }

  /** A request that went by all caches. */
  bypass(): void {
    this.#bypassed++
  }

  raced(): void {
    this.#counts.racing++
  }

  end(exit: number | undefined): void {
    this.#counts.exit = exit
  }

  cut(): void {
    this.#counts.isCut = true
  }

  /** Whether the run sent this request itself, and it brought samples. */
  hasSent(request: string): boolean {
    return this.#sent?.has(request) ?? false
  }

  /** Whether a cache was asked for a sample of this key, and went on to ask for it or to hand it out. */
  isMissing(key: number): boolean {
    return this.#handed.some((handed) => handed.get(key) > 0)
  }

  receipt(): Receipt {
    const { bought, failed, missed, racing } = this.#counts
    const asked = this.#hits + this.#misses + this.#bypassed
    const isReplay = asked > 0 && bought + missed + failed + racing + this.#bypassed === 0
    const { exit, isCut, ...counts } = this.#counts
    return { asked, ...counts, bypassed: this.#bypassed, isReplay, exit, isCut }
  }

  #ofStore(store: number): ByKey {
    // Not by `push`, which leaves room for many more.
    while (this.#handed.length <= store) this.#handed = [...this.#handed, new ByKey()]
    return this.#handed[store]!
  }

  #touch(key: number, store: number): void {
    const handed = this.#ofStore(store)
    if (handed.get(key) === 0) handed.set(key, 1)
  }

  #othersOf(key: number, store: number): Others {
    const name = `${key} ${store}`
    this.#others ??= new Map()
    let others = this.#others.get(name)
    if (others === undefined) this.#others.set(name, others = { later: undefined, missing: undefined })
    return others
  }

  #drop(key: number, store: number, { later, missing }: Others): void {
    if (later !== undefined || missing !== undefined) return
    this.#others?.delete(`${key} ${store}`)
    if (this.#others?.size === 0) this.#others = undefined
  }

  /** Returns whether it is handed out for the first time. */
  #handOut(key: number, store: number, position: number): boolean {
    const handed = this.#ofStore(store)
    const next = Math.max(0, handed.get(key) - 1)
    const others = this.#others?.get(`${key} ${store}`)
    if (position === next && others?.later === undefined) {
      handed.set(key, next + 2)
      return true
    }
    if (position < next) return false
    const known = others ?? this.#othersOf(key, store)
    const later = known.later ??= new Set()
    const isFirst = later.size < later.add(position).size
    let end = next
    while (later.delete(end)) end++
    handed.set(key, end + 1)
    if (later.size === 0) {
      known.later = undefined
      this.#drop(key, store, known)
    }
    return isFirst
  }
}
