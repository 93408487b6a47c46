import type { Event, Hit, Miss, RequestDone, Stored } from "../../Events.ts"
import type { Key } from "../../Key.ts"
import type { Metadata } from "../../Sample.ts"
import { newLogOwner } from "../directory/logOwner.ts"
import { failureType } from "../events/failureType.ts"
import { KeyMap } from "../model/keyMap.ts"
import { Fs, Path } from "../node.ts"
import type { Receipt } from "./entry.ts"
import { mark, summaryPath, writeSummary } from "./folders.ts"
import { Numbering } from "./numbering.ts"
import { ReceiptCounter } from "./receiptCounter.ts"
import { TraceFile } from "./traceFile.ts"

/** A trace has lines up to this size, in bytes. Then it only counts. */
const limit = 256 * 1024 * 1024

/** How many milliseconds are between two summaries. */
const summaryInterval = 1000

/** Writes the events of a run as lines, and counts them. A server has thousands of them: sets are made when they are needed. */
export class Recorder {
  readonly #file: TraceFile
  readonly #limit: number
  readonly #counter = new ReceiptCounter()
  readonly #start: number
  readonly #keys = new KeyMap<number>()
  #keyCount = 0
  readonly #identities = new Numbering()
  readonly #stores = new Numbering()
  #toldPrompts: Set<number> | undefined
  /** The numbers of the `Repeatable`s of attempts and votes. */
  #readers: WeakMap<object, number> | undefined
  #readerCount = 0
  /** The numbers of the readers of `Independent`s. */
  #independents: WeakMap<object, number> | undefined
  #independentCount = 0
  /** The past requests with tokens that count already. */
  #replayed: Set<string> | undefined
  #isCut = false
  /** Keys that came after the cut. */
  #untoldKeys: Set<number> | undefined
  #summarized = 0
  #lateSummary: NodeJS.Timeout | undefined

  constructor(folder: string, file: string, name: string, start: number, most = limit) {
    this.#start = start
    this.#limit = most
    this.#file = new TraceFile(folder, file, (bytes) => this.#summarize(bytes))
    const { birth, host, pid } = newLogOwner()
    this.#write(JSON.stringify({ t: "run", version: 1, name, at: start, host, pid, birth }))
    this.#file.flush()
    mark(folder, name, Path.basename(this.#file.path, ".jsonl"))
  }

  get path(): string {
    return this.#file.path
  }

  receipt(): Receipt {
    return this.#counter.receipt()
  }

  readonly listen = (event: Event): void => {
    const key = this.#keyOf(event.key)
    switch (event._tag) {
      case "Hit":
        return this.#hit(key, event)
      case "Miss": {
        const { asks, position } = event
        const store = this.#storeOf(event.store)
        this.#counter.miss(key, store, position, asks)
        if (asks === "nothing") this.#tellPrompt(key, event.key)
        return this.#line(
          "miss",
          key,
          `,"store":${store}${this.#readerOf(event)}${
            this.#independentOf(event)
          },"position":${position},"asks":"${asks}"`
        )
      }
      case "Stored":
        return this.#stored(key, event)
      case "Refused":
        return this.#line(
          "refused",
          key,
          `,"store":${this.#storeOf(event.store)},"position":${event.position}${sampleFields(event.sample.metadata)}`
        )
      case "RequestSent":
        // A draw that no cache has seen.
        if (!this.#counter.isMissing(key)) this.#tellPrompt(key, event.key)
        return this.#line(
          "sent",
          key,
          `,"position":${event.position},"request":"${event.request}","n":${event.n},"model":${
            JSON.stringify(event.model)
          }` +
            (event.provider === undefined ? "" : `,"provider":${JSON.stringify(event.provider)}`)
        )
      case "RequestDone":
        return this.#done(key, event)
      case "RequestFailed":
        this.#counter.failed()
        this.#tellPrompt(key, event.key)
        return this.#line(
          "failed",
          key,
          `,"position":${event.position},"request":"${event.request}","elapsed":${event.elapsed},"error":"${
            failureType(event.cause)
          }"`
        )
      case "Raced":
        this.#counter.raced()
        return this.#line("raced", key, `,"position":${event.position}`)
      case "RequestRetried":
    }
  }

  /** Notes a request of a client for some samples. */
  ask(key: Key, n: number): void {
    this.#line("ask", this.#keyOf(key), `,"n":${n}`)
  }

  /**
   * Notes positions that a client is given, or that it did not get. With a place they are the memory of a run: they are in the
   * file at once, also beyond its limit, or it throws.
   */
  give(type: "given" | "returned", key: Key, positions: ReadonlyArray<number>, place: string | undefined): void {
    const number = this.#keyOf(key)
    const fields = `,"key":${number},"positions":${JSON.stringify(positions)}`
    if (place === undefined) return void this.#write(`{"t":"${type}","ms":${this.#now()}${fields}}`)
    try {
      if (this.#untoldKeys?.delete(number)) this.#tellKey(number, key, true)
      const line = `{"t":"${type}","ms":${this.#now()}${fields},"place":${JSON.stringify(place)}}`
      if (!this.#write(line)) this.#file.append(line)
    } finally {
      this.#file.flushOrThrow()
    }
  }

  bypass(method: string, path: string, status: number): void {
    this.#counter.bypass()
    this.#write(JSON.stringify({ t: "bypass", ms: this.#now(), method, path, status }))
  }

  /** Closes the file of a run that goes on later. */
  suspend(): void {
    this.#file.append(`{"t":"pause","ms":${this.#now()}}`)
    this.#summarized = 0
    this.#file.close()
  }

  end(exit: number): void {
    this.#counter.end(exit)
    this.#file.append(`{"t":"end","ms":${this.#now()},"exit":${exit}}`)
    this.#summarized = 0
    this.#file.close()
  }

  #hit(key: number, hit: Hit): void {
    const { position, sample: { metadata }, waited } = hit
    const { request } = metadata
    const store = this.#storeOf(hit.store)
    let tokens = ""
    this.#counter.hit(key, store, position, request)
    const isPast = request !== undefined && !this.#counter.hasSent(request)
    if (isPast && !this.#replayed?.has(request)) {
      this.#replayed = (this.#replayed ?? new Set()).add(request)
      const { elapsed, inputTokens = 0, outputTokens = 0 } = metadata
      this.#counter.replayedTokens(inputTokens, outputTokens)
      tokens = `,"input":${inputTokens},"output":${outputTokens},"elapsed":${elapsed ?? 0}`
    }
    this.#line(
      "hit",
      key,
      `,"store":${store}${this.#readerOf(hit)}${this.#independentOf(hit)},"position":${position}${
        waited ? `,"waited":true` : ""
      }` +
        `${sampleFields(metadata)}${tokens}`
    )
  }

  #stored(key: number, stored: Stored): void {
    const { position, sample: { metadata } } = stored
    const store = this.#storeOf(stored.store)
    this.#counter.stored(key, store, position, metadata.request)
    this.#line(
      "stored",
      key,
      `,"store":${store}${this.#readerOf(stored)},"position":${position}${sampleFields(metadata)}`
    )
  }

  /** The number of a `Repeatable`. Stores have their id. */
  #readerOf({ cache, store }: Hit | Miss | Stored): string {
    if (store !== "Repeatable" || cache === undefined) return ""
    this.#readers ??= new WeakMap()
    let number = this.#readers.get(cache)
    if (number === undefined) this.#readers.set(cache, number = ++this.#readerCount)
    return `,"reader":${number}`
  }

  /** The number of an `Independent`. */
  #independentOf({ reader }: Hit | Miss): string {
    if (reader === undefined) return ""
    this.#independents ??= new WeakMap()
    let number = this.#independents.get(reader)
    if (number === undefined) this.#independents.set(reader, number = ++this.#independentCount)
    return `,"independent":${number}`
  }

  #done(key: number, { elapsed, failures, position, request, samples }: RequestDone): void {
    const { inputTokens = 0, outputTokens = 0 } = samples[0]?.metadata ?? {}
    this.#counter.done(request, samples.length, inputTokens, outputTokens)
    this.#line(
      "done",
      key,
      `,"position":${position},"request":"${request}","samples":${samples.length},"failures":${failures.length}` +
        `,"input":${inputTokens},"output":${outputTokens},"elapsed":${elapsed}`
    )
  }

  #line(type: string, key: number, fields: string): void {
    if (!this.#isCut) this.#write(`{"t":"${type}","ms":${this.#now()},"key":${key}${fields}}`)
  }

  /** Returns whether the file has room for the line. */
  #write(line: string): boolean {
    if (this.#isCut) return false
    if (this.#file.size + line.length > this.#limit) {
      this.#isCut = true
      this.#counter.cut()
      this.#file.append(`{"t":"cut","ms":${this.#now()}}`)
      return false
    }
    this.#file.append(line)
    return true
  }

  #now(): number {
    // Real time, also in a program with another clock: an event is no effect.
    // @effect-diagnostics-next-line globalDate:off
    return Date.now() - this.#start
  }

  #keyOf(key: Key): number {
    let number = this.#keys.get(key)
    if (number !== undefined) return number
    this.#keys.set(key, number = this.#keyCount++)
    if (!this.#tellKey(number, key)) this.#untoldKeys = (this.#untoldKeys ?? new Set()).add(number)
    return number
  }

  /** Returns whether the file has the line. */
  #tellKey(number: number, { identity: { id }, path, promptHash }: Key, isBeyondLimit = false): boolean {
    const known = this.#identities.find(id)
    const identity = known ?? this.#identities.size
    const isNew = known === undefined ? { id } : undefined
    const line = JSON.stringify({ t: "key", key: number, identity, ...isNew, hash: promptHash, fork: path })
    if (isBeyondLimit) this.#file.append(line)
    else if (!this.#write(line)) return false
    if (known === undefined) this.#identities.add(id)
    return true
  }

  #storeOf(name: string): number {
    const known = this.#stores.find(name)
    if (known !== undefined) return known
    const number = this.#stores.add(name)
    this.#write(JSON.stringify({ t: "store", store: number, id: name }))
    return number
  }

  /** The cache does not have the prompt. */
  #tellPrompt(key: number, { prompt }: Key): void {
    if (this.#isCut || this.#toldPrompts?.has(key)) return
    this.#toldPrompts = (this.#toldPrompts ?? new Set()).add(key)
    this.#write(`{"t":"prompt","key":${key},"text":${JSON.stringify(prompt)}}`)
  }

  #summarize(bytes: number): void {
    const now = this.#now()
    if (now - this.#summarized < summaryInterval && this.#summarized > 0) {
      // A run that waits for long has the summary of all its lines.
      // @effect-diagnostics-next-line globalTimers:off
      this.#lateSummary ??= setTimeout(() => this.#summarizeLate(), summaryInterval).unref()
    } else this.#summarizeNow(bytes)
  }

  /** A trace that was deleted has no summary, and nobody waits for one that cannot be written. */
  #summarizeLate(): void {
    this.#lateSummary = undefined
    try {
      if (Fs.existsSync(this.#file.path)) this.#summarizeNow(this.#file.written)
    } catch {
      // The next lines write it, or their error is told.
    }
  }

  #summarizeNow(bytes: number): void {
    clearTimeout(this.#lateSummary)
    this.#lateSummary = undefined
    this.#summarized = Math.max(1, this.#now())
    writeSummary(summaryPath(this.#file.path), { bytes, receipt: this.receipt() })
  }
}

const sampleFields = ({ index, request }: Metadata): string =>
  request === undefined ? "" : `,"request":${quote(request)}${index === undefined ? "" : `,"index":${index}`}`

// Nearly all names of requests are UUIDs.
const quote = (request: string): string => /^[\w-]+$/.test(request) ? `"${request}"` : JSON.stringify(request)
