import type { Receipt } from "../../Trace.ts"

type Mutable<A> = { -readonly [name in keyof A]: A[name] }

/** The positions of a key in one store that the run was handed. */
interface Handed {
  /** All positions below were handed out. */
  next: number
  /** Positions from `next` on that were handed out. */
  later: Set<number> | undefined
  /** Positions that were missing and are requested. */
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
  readonly #handed: Array<Array<Handed>> = []
  /** Draws that missed a cache above another one, as `Repeatable` is, and that the other one answers. */
  readonly #passed = new Set<string>()
  readonly #sent = new Set<string>()
  readonly #replayed = new Set<string>()
  /** How many samples each request brought that no cache stored. */
  readonly #unstored = new Map<string, number>()
  #bypassed = 0

  /** Returns whether the tokens of the hit's request count: they do once, unless the run sent the request. */
  hit(key: number, store: number, position: number, request: string | undefined): boolean {
    this.#hits++
    const isFirst = this.#handOut(this.#at(key, store), position)
    const isOwn = request !== undefined && this.#sent.has(request)
    if (!isFirst) this.#counts.reread++
    if (isFirst && isOwn) this.#counts.bought++
    else this.#counts.replayed++
    return !isOwn && request !== undefined && this.#replayed.size < this.#replayed.add(request).size
  }

  replayedTokens(input: number, output: number): void {
    this.#counts.replayedInputTokens += input
    this.#counts.replayedOutputTokens += output
  }

  miss(key: number, store: number, position: number, asks: string): void {
    if (asks === "cache") return void this.#passed.add(`${key} ${store} ${position}`)
    this.#misses++
    if (asks === "nothing") this.#counts.missed++
    else (this.#at(key, store).missing ??= new Set()).add(position)
  }

  stored(key: number, store: number, position: number, request: string | undefined): void {
    if (request !== undefined && this.#unstored.size > 0) {
      this.#bypassed -= this.#unstored.get(request) ?? 0
      this.#unstored.delete(request)
    }
    const handed = this.#at(key, store)
    // The draw that missed it gets it.
    if (handed.missing?.delete(position) && this.#handOut(handed, position)) this.#counts.bought++
    // The cache below counted it.
    if (this.#passed.delete(`${key} ${store} ${position}`)) this.#handOut(handed, position)
  }

  done(request: string, samples: number, input: number, output: number): void {
    this.#sent.add(request)
    this.#unstored.set(request, samples)
    this.#bypassed += samples
    this.#counts.inputTokens += input
    this.#counts.outputTokens += output
  }

  failed(): void {
    this.#counts.failed++
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

  /** Whether a draw missed this position in some cache, which asked further. */
  isMissing(key: number): boolean {
    return this.#handed[key] !== undefined
  }

  receipt(): Receipt {
    const { bought, failed, missed, racing } = this.#counts
    const asked = this.#hits + this.#misses + this.#bypassed
    const isReplay = asked > 0 && bought + missed + failed + racing + this.#bypassed === 0
    const { exit, isCut, ...counts } = this.#counts
    return { asked, ...counts, bypassed: this.#bypassed, isReplay, exit, isCut }
  }

  #at(key: number, store: number): Handed {
    const stores = this.#handed[key] ??= []
    return stores[store] ??= { next: 0, later: undefined, missing: undefined }
  }

  /** Returns whether it is handed out for the first time. */
  #handOut(handed: Handed, position: number): boolean {
    if (position === handed.next && handed.later === undefined) {
      handed.next++
      return true
    }
    if (position < handed.next) return false
    const later = handed.later ??= new Set()
    const isFirst = later.size < later.add(position).size
    while (later.delete(handed.next)) handed.next++
    if (later.size === 0) handed.later = undefined
    return isFirst
  }
}
