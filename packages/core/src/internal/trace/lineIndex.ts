import * as Effect from "effect/Effect"
import type { Identity } from "../../Identity.ts"
import type { StoreError } from "../../SampleError.ts"
import type { Counts, Draw, Filter, ForkCounts, Outcome, Prompt, State, Taken, TraceIndex } from "../../TraceIndex.ts"
import { attempt, type Fail, failure } from "../directory/errors.ts"
import { Decoder, Tables } from "./decode.ts"
import type { Entry, TracedKey } from "./entry.ts"
import { LineReader } from "./lineReader.ts"
import { Numbers } from "./numbers.ts"
import { DrawRows, outcomes } from "./rows.ts"
import { Series } from "./series.ts"
import { Sums } from "./sums.ts"
import { ChangedError, CompactKeys } from "./tables.ts"
import { Takers } from "./takers.ts"

type Line<Type extends Entry["type"]> = Extract<Entry, { readonly type: Type }>
type StoredLine = Exclude<Extract<Entry, { readonly index: unknown }>, Line<"hit">>

/** How much of the file is read at a time. */
const step = 64 * 1024

/** The most kinds of requests that were passed on. */
const mostPassed = 100

/** `TraceIndex` in typed arrays. */
export class LineIndex implements TraceIndex {
  readonly file: string
  readonly #failed: Fail
  readonly #lines: LineReader
  readonly #tables: Tables
  readonly #keys: CompactKeys
  readonly #decoder: Decoder
  readonly #rows = new DrawRows()
  readonly #takers = new Takers()
  readonly #series = new Series()
  readonly #ofPrompts = new Sums()
  readonly #ofForks = new Sums()
  /** One more than the offset of a prompt's text, by key. */
  readonly #texts = new Numbers()
  /** The rows of draws that missed and are requested. */
  readonly #requested = new Map<string, number>()
  /** Draws that race, and have no row so far. */
  readonly #racing = new Set<string>()
  readonly #passed = new Map<
    string,
    { readonly method: string; readonly path: string; readonly status: number; count: number }
  >()
  #name = ""
  #isOfServer = false
  #lastAt = 0
  #firstMissed: number | undefined
  #lineCount = 0
  #damage: Effect.Effect<never, StoreError> | undefined

  constructor(file: string) {
    this.file = file
    this.#failed = failure(`trace ${file}`, "open")
    this.#lines = new LineReader(file)
    const identities: Array<Identity> = []
    this.#keys = new CompactKeys(identities, (offset) => this.#lines.lineAt(offset))
    this.#tables = new Tables(this.#keys, identities)
    this.#decoder = new Decoder(this.#tables)
  }

  readonly advance: Effect.Effect<boolean, StoreError> = Effect.suspend(() =>
    // The lines behind it were never added, so it must not go on there.
    this.#damage ?? Effect.flatMap(attempt(this.#failed, () => this.#lines.next(step)), (lines) => {
      for (const { offset, text } of lines) {
        this.#lineCount++
        this.#keys.offset = offset
        const entry = this.#decoder.decode(text)
        if (entry === "damaged") {
          return this.#damage = this.#failed({
            kind: "Damaged",
            description: `line ${this.#lineCount} is no line of a trace: restore the file, or delete it`
          })
        }
        if (entry !== undefined) this.#add(entry, offset)
      }
      return Effect.succeed(lines.length > 0)
    })
  )

  readonly state = (): State => {
    const { read, size } = this.#lines
    return {
      name: this.#name,
      startedAt: this.#tables.start,
      lastAt: this.#lastAt,
      read,
      size: Math.max(read, size),
      draws: this.#rows.length,
      prompts: this.#keys.prompts.length,
      keys: this.#keys.length,
      forks: this.#keys.forks.paths.length,
      identities: this.#tables.identities,
      receipt: this.#decoder.counter.receipt(),
      isOfServer: this.#isOfServer,
      passed: [...this.#passed.values()],
      firstMissed: this.#firstMissed,
      series: { width: this.#series.width, buckets: this.#series.buckets }
    }
  }

  readonly draws: TraceIndex["draws"] = (filter, from, count) =>
    this.#reread(() => {
      const matches = this.#matcher(filter)
      const found: Array<number> = []
      let total = 0
      for (let row = 0; row < this.#rows.length; row++) {
        if (!matches(row)) continue
        if (total >= from && found.length < count) found.push(row)
        total++
      }
      return { total, draws: found.map((row) => this.#drawAt(row)) }
    })

  readonly draw: TraceIndex["draw"] = (row) =>
    this.#reread(() => row >= 0 && row < this.#rows.length ? this.#drawAt(row) : undefined)

  readonly promptText: TraceIndex["promptText"] = (key) =>
    this.#reread(() => {
      const prompt = this.#keys.findPrompt(key.identity, key.promptHash)
      const told = prompt === undefined ? [] : this.#keys.keysOf(prompt).filter((key) => this.#texts.get(key) > 0)
      if (told.length === 0) return undefined
      const entry = new Decoder(this.#tables).decode(this.#lines.lineAt(this.#texts.get(told[0]!) - 1))
      return typeof entry === "object" && entry.type === "prompt" ? entry.text : undefined
    })

  readonly prompts: TraceIndex["prompts"] = (by, count) =>
    this.#reread(() => this.#ofPrompts.greatest(by, count).map((prompt) => this.#promptAt(prompt)))

  readonly prompt: TraceIndex["prompt"] = (identity, promptHash) =>
    this.#reread(() => {
      const prompt = this.#keys.findPrompt(identity, promptHash)
      return prompt === undefined ? undefined : this.#promptAt(prompt)
    })

  readonly forks = (): ReadonlyArray<ForkCounts> =>
    this.#keys.forks.paths.map((path, fork) => ({ path, ...this.#ofForks.counts(fork) }))

  readonly taken: TraceIndex["taken"] = (identity, promptHash, from, count) => {
    const prompt = this.#keys.findPrompt(identity, promptHash)
    return prompt === undefined ? [] : this.#keys.keysOf(prompt).flatMap((key): ReadonlyArray<Taken> => {
      const path = this.#keys.forks.paths[this.#keys.forkOf(key)]!
      return this.#takers.of(key, from, count, this.#rows).map((taken) => ({ path, ...taken }))
    })
  }

  readonly signature = (row: number): number => {
    const [high, low] = this.#keys.signature(this.#rows.keyOf(row))
    const mixed = Math.imul(low ^ Math.imul(this.#rows.positionOf(row) + 1, 0x9e3779b1), 0x85ebca6b)
    return (high ^ (mixed >>> 15)) % 0x100000 * 0x100000000 + (mixed >>> 0)
  }

  readonly forkOf = (row: number): number => this.#keys.forkOf(this.#rows.keyOf(row))

  /** Reads lines again, which another program may have changed. */
  #reread<A>(read: () => A): Effect.Effect<A, StoreError> {
    return Effect.flatMap(
      attempt(this.#failed, (): A | ChangedError => {
        try {
          return read()
        } catch (cause) {
          if (cause instanceof ChangedError) return cause
          throw cause
        }
      }),
      (found) =>
        found instanceof ChangedError
          ? this.#failed({ kind: "Unavailable", description: "the file was changed while it was read: look again" })
          : Effect.succeed(found)
    )
  }

  #add(entry: Entry, offset: number): void {
    if ("at" in entry) this.#lastAt = Math.max(this.#lastAt, entry.at)
    const { key } = this.#decoder
    switch (entry.type) {
      case "run":
        this.#name = entry.name
        return
      case "bypass":
        return this.#pass(entry)
      case "prompt":
        return this.#texts.set(key, offset + 1)
      case "hit":
        return this.#hit(entry, offset)
      case "miss":
        return this.#miss(entry, offset)
      case "stored":
        return this.#stored(entry)
      case "sent":
        // A draw that no cache has seen.
        if (!this.#decoder.counter.isMissing(key)) this.#push(entry, offset, "bypassed")
        return
      case "done":
        this.#spend(entry, "spentTokens", entry.inputTokens + entry.outputTokens)
        return
      case "failed":
        return this.#fail(entry)
      case "raced":
        this.#racing.add(`${key} ${entry.position}`)
        return
      case "given":
      case "returned":
        this.#isOfServer = true
        for (const position of entry.positions) {
          this.#takers.give(key, position, entry.place ?? "", entry.type === "returned", this.#rows.lastOf(key))
        }
        return
      case "ask":
        this.#isOfServer = true
        return
      case "refused":
      case "pause":
      case "cut":
      case "end":
    }
  }

  #hit(entry: Line<"hit">, offset: number): void {
    const row = this.#push(entry, offset, this.#decoder.hit ?? "replayed")
    if (entry.reader === undefined) this.#takers.remember(this.#decoder.key, entry, row)
    if (entry.tokens !== undefined) {
      this.#spend(entry, "replayedTokens", entry.tokens.inputTokens + entry.tokens.outputTokens)
    }
  }

  #miss(entry: Line<"miss">, offset: number): void {
    const { key, store } = this.#decoder
    if (entry.asks === "cache") return this.#takers.await(key)
    const row = this.#push(entry, offset, entry.asks === "nothing" ? "missed" : "requested")
    if (entry.asks === "nothing") this.#firstMissed ??= row
    else this.#requested.set(`${key} ${store} ${entry.position}`, row)
  }

  #stored(entry: StoredLine): void {
    const { key, store } = this.#decoder
    const name = `${key} ${store} ${entry.position}`
    const row = this.#requested.get(name)
    if (row !== undefined) {
      this.#requested.delete(name)
      this.#become(row, "bought")
    }
    if (entry.reader === undefined) this.#takers.remember(key, entry, row ?? this.#rows.lastOf(key))
    else this.#takers.take(key, entry.reader, entry, this.#rows.lastOf(key))
  }

  #pass({ at, method, path, status }: Line<"bypass">): void {
    this.#isOfServer = true
    this.#series.at(at - this.#tables.start).asked++
    const name = `${method} ${path} ${status}`
    const known = this.#passed.get(name)
    if (known !== undefined) known.count++
    else if (this.#passed.size < mostPassed) this.#passed.set(name, { method, path, status, count: 1 })
  }

  #fail(entry: Line<"failed">): void {
    const { key } = this.#decoder
    this.#count(key, "failed", 1)
    for (let store = 0; store < this.#tables.stores.length; store++) {
      const name = `${key} ${store} ${entry.position}`
      const row = this.#requested.get(name)
      if (row === undefined) continue
      this.#requested.delete(name)
      this.#become(row, "failed")
    }
  }

  #push(entry: Line<"hit" | "miss" | "sent">, offset: number, outcome: Outcome): number {
    const { key } = this.#decoder
    const isAbove = entry.type === "hit" && entry.store === "Repeatable"
    const isRacing = this.#racing.size > 0 && this.#racing.delete(`${key} ${entry.position}`)
    const independent = entry.type === "sent" ? undefined : entry.independent
    const row = this.#rows.push({ offset, key, position: entry.position, outcome, isRacing, isAbove, independent })
    this.#series.at(entry.at - this.#tables.start).asked++
    this.#count(key, "asked", 1)
    if (isRacing) this.#count(key, "racing", 1)
    const counted = countOf(outcome)
    if (counted !== undefined) this.#count(key, counted, 1)
    return row
  }

  #become(row: number, outcome: "bought" | "failed"): void {
    this.#rows.become(row, outcome)
    if (outcome === "bought") this.#count(this.#rows.keyOf(row), "bought", 1)
  }

  #spend(entry: { readonly at: number }, tokens: "spentTokens" | "replayedTokens", amount: number): void {
    this.#series.at(entry.at - this.#tables.start)[tokens === "spentTokens" ? "spent" : "replayed"] += amount
    this.#count(this.#decoder.key, tokens, amount)
  }

  #count(key: number, count: keyof Counts, amount: number): void {
    this.#ofPrompts.add(this.#keys.promptOf(key), count, amount)
    this.#ofForks.add(this.#keys.forkOf(key), count, amount)
  }

  #drawAt(row: number): Draw {
    const entry = new Decoder(this.#tables).decode(this.#lines.lineAt(this.#rows.offsetOf(row)))
    if (typeof entry !== "object" || (entry.type !== "hit" && entry.type !== "miss" && entry.type !== "sent")) {
      throw new ChangedError()
    }
    const { identity, path, promptHash } = entry.key
    return {
      row,
      number: this.#rows.numberOf(row),
      at: entry.at,
      key: { identity, path, promptHash },
      position: entry.position,
      outcome: this.#rows.outcomeOf(row),
      isRacing: this.#rows.isRacing(row),
      before: this.#rows.before(row),
      store: entry.type === "sent" ? undefined : entry.store,
      reader: entry.type === "sent" ? undefined : entry.reader,
      independent: entry.type === "sent" ? undefined : entry.independent,
      request: entry.type === "miss" ? undefined : entry.request
    }
  }

  #promptAt(prompt: number): Prompt {
    const keys = this.#keys.keysOf(prompt)
    const key: TracedKey = this.#keys.get(keys[0]!)!
    return {
      identity: key.identity,
      promptHash: key.promptHash,
      forks: keys.length,
      ...this.#ofPrompts.counts(prompt)
    }
  }

  #matcher({ fork, identity, outcome, promptHashes }: Filter): (row: number) => boolean {
    const rows = this.#rows
    const keys = this.#keys
    const tests: Array<(row: number) => boolean> = []
    if (outcome === "racing") tests.push(rows.isRacing)
    else if (outcome !== undefined) {
      const [one, other] = [outcome, outcome === "replayed" ? "reread" : outcome].map((name) => outcomes.indexOf(name))
      tests.push((row) => rows.outcomeNumber(row) === one || rows.outcomeNumber(row) === other)
    }
    if (fork !== undefined) {
      const inside = keys.forks.paths.map((path) => fork.every((name, i) => path[i] === name))
      tests.push((row) => inside[keys.forkOf(rows.keyOf(row))]!)
    }
    if (identity !== undefined) {
      const wanted = keys.identityNumber(identity)
      tests.push((row) => keys.identityNumberOf(rows.keyOf(row)) === wanted)
    }
    if (promptHashes !== undefined) {
      const wanted = this.#promptsOf(promptHashes)
      tests.push((row) => wanted.has(keys.promptOf(rows.keyOf(row))))
    }
    return (row) => tests.every((test) => test(row))
  }

  /** The prompts with these starts of their hashes. */
  #promptsOf(starts: ReadonlyArray<string>): ReadonlySet<number> {
    const found = new Set<number>()
    for (const start of starts) {
      for (const identity of this.#tables.identities) {
        if (start.length >= 16) {
          const prompt = this.#keys.findPrompt(identity, start)
          if (prompt !== undefined) found.add(prompt)
        } else for (const prompt of this.#keys.promptsStarting(identity, start)) found.add(prompt)
      }
    }
    return found
  }
}

const countOf = (outcome: Outcome): keyof Counts | undefined => {
  switch (outcome) {
    case "reread":
    case "replayed":
      return "replayed"
    case "bought":
      return "bought"
    case "missed":
      return "missed"
    case "requested":
    case "failed":
    case "bypassed":
      return undefined
  }
}
