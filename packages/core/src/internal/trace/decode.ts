import * as Predicate from "effect/Predicate"
import { fromId, type Identity } from "../../Identity.ts"
import { parseJson } from "../../StoreRow.ts"
import type { Entry, TracedKey } from "./entry.ts"
import { type HitKind, ReceiptCounter } from "./receiptCounter.ts"

type Fields = Readonly<Record<string, unknown>>

/** The keys of a trace by their numbers. */
export interface KeyTable {
  readonly get: (number: number) => TracedKey | undefined
  readonly set: (number: number, key: TracedKey) => void
}

/** Keys, identities and stores, which lines name by numbers. */
export class Tables {
  readonly keys: KeyTable
  readonly identities: Array<Identity>
  readonly stores: Array<string> = []
  start = 0

  constructor(keys: KeyTable = new Map<number, TracedKey>(), identities: Array<Identity> = []) {
    this.keys = keys
    this.identities = identities
  }
}

/** Turns the lines of a trace into entries, and counts them. */
export class Decoder {
  readonly counter = new ReceiptCounter()
  readonly #tables: Tables
  /** The numbers of the last line's key and store, and the kind of its hit. */
  key = 0
  store = 0
  hit: HitKind | undefined

  constructor(tables = new Tables()) {
    this.#tables = tables
  }

  /** The entry of a line, `undefined` for a line that only explains others; `"damaged"` if it is no line of a trace. */
  decode(line: string): Entry | undefined | "damaged" {
    const parsed = parseJson(line)
    return Predicate.isObject(parsed) ? this.#decode(parsed) : "damaged"
  }

  #decode(fields: Fields): Entry | undefined | "damaged" {
    const { counter } = this
    const tables = this.#tables
    const at = tables.start + number(fields["ms"])
    switch (fields["t"]) {
      case "run":
        tables.start = number(fields["at"])
        return {
          type: "run",
          at: tables.start,
          name: text(fields["name"]),
          pid: number(fields["pid"]),
          host: text(fields["host"]),
          birth: text(fields["birth"])
        }
      case "store":
        tables.stores[number(fields["store"])] = text(fields["id"])
        return undefined
      case "key": {
        const given = typeof fields["id"] === "string" ? fromId(fields["id"]) : undefined
        if (given !== undefined) tables.identities[number(fields["identity"])] = given
        const identity = tables.identities[number(fields["identity"])]
        const fork = fields["fork"]
        if (identity === undefined || !Array.isArray(fork)) return "damaged"
        this.key = number(fields["key"])
        tables.keys.set(this.key, { identity, path: fork.map(String), promptHash: text(fields["hash"]) })
        return undefined
      }
      case "bypass":
        counter.bypass()
        return {
          type: "bypass",
          at,
          method: text(fields["method"]),
          path: text(fields["path"]),
          status: number(fields["status"])
        }
      case "cut":
        counter.cut()
        return { type: "cut", at }
      case "pause":
        return { type: "pause", at }
      case "end":
        counter.end(number(fields["exit"]))
        return { type: "end", at, exit: number(fields["exit"]) }
    }
    const keyNumber = this.key = number(fields["key"])
    const key = tables.keys.get(keyNumber)
    if (key === undefined) return "damaged"
    if (fields["t"] === "prompt") return { type: "prompt", key, text: text(fields["text"]) }
    const storeNumber = this.store = number(fields["store"])
    const store = tables.stores[storeNumber] ?? ""
    const reader = typeof fields["reader"] === "number" ? fields["reader"] : undefined
    const independent = typeof fields["independent"] === "number" ? fields["independent"] : undefined
    const position = number(fields["position"])
    const request = typeof fields["request"] === "string" ? fields["request"] : undefined
    const index = typeof fields["index"] === "number" ? fields["index"] : undefined
    const [inputTokens, outputTokens] = [number(fields["input"]), number(fields["output"])]
    const elapsed = number(fields["elapsed"])
    switch (fields["t"]) {
      case "hit":
        this.hit = counter.hit(keyNumber, storeNumber, position, request)
        // The first hit of a past request alone has them.
        counter.replayedTokens(inputTokens, outputTokens)
        return {
          type: "hit",
          at,
          key,
          position,
          store,
          reader,
          independent,
          waited: fields["waited"] === true,
          request,
          index,
          tokens: "elapsed" in fields ? { inputTokens, outputTokens, elapsed } : undefined
        }
      case "miss": {
        const asks = text(fields["asks"]) as "cache" | "provider" | "nothing"
        counter.miss(keyNumber, storeNumber, position, asks)
        return { type: "miss", at, key, position, store, reader, independent, asks }
      }
      case "stored":
        counter.stored(keyNumber, storeNumber, position, request)
        return { type: "stored", at, key, position, store, reader, request, index }
      case "refused":
        return { type: "refused", at, key, position, store, reader, request, index }
      case "raced":
        counter.raced()
        return { type: "raced", at, key, position }
      case "sent": {
        const provider = typeof fields["provider"] === "string" ? fields["provider"] : undefined
        return {
          type: "sent",
          at,
          key,
          position,
          request: request ?? "",
          n: number(fields["n"]),
          model: text(fields["model"]),
          provider
        }
      }
      case "done": {
        const [samples, failures] = [number(fields["samples"]), number(fields["failures"])]
        counter.done(request ?? "", samples, inputTokens, outputTokens)
        return {
          type: "done",
          at,
          key,
          position,
          request: request ?? "",
          samples,
          failures,
          inputTokens,
          outputTokens,
          elapsed
        }
      }
      case "failed":
        counter.failed()
        return { type: "failed", at, key, position, request: request ?? "", elapsed, error: text(fields["error"]) }
      case "ask":
        return { type: "ask", at, key, n: number(fields["n"]) }
      case "given":
      case "returned": {
        const { place, positions } = fields
        return {
          type: fields["t"] === "given" ? "given" : "returned",
          at,
          key,
          positions: Array.isArray(positions) ? positions.map(Number) : [],
          place: typeof place === "string" ? place : undefined
        }
      }
      default:
        return "damaged"
    }
  }
}

const number = (value: unknown): number => typeof value === "number" ? value : 0

const text = (value: unknown): string => typeof value === "string" ? value : ""
