import * as Cause from "effect/Cause"
import type { Event } from "../../Events.ts"
import type { Key } from "../../Key.ts"
import type { Metadata, Sample } from "../../Sample.ts"
import { defined } from "../model/answer.ts"
import type { Entry, TracedKey } from "./entry.ts"

/** The event of a line, as far as a counter of usage looks at it: without texts. */
export const toEvent = (entry: Entry): Event | undefined => {
  switch (entry.type) {
    case "hit": {
      const { position, request, index, store, tokens, waited } = entry
      return {
        _tag: "Hit",
        key: keyOf(entry.key),
        position,
        store,
        waited,
        sample: sampleOf({ request, index, ...tokens })
      }
    }
    case "miss":
      return { _tag: "Miss", key: keyOf(entry.key), position: entry.position, store: entry.store, asks: entry.asks }
    case "stored":
    case "refused": {
      const { index, position, request, store } = entry
      const sample = sampleOf({ request, index })
      return { _tag: entry.type === "stored" ? "Stored" : "Refused", key: keyOf(entry.key), position, store, sample }
    }
    case "sent": {
      const { model, n, position, provider, request } = entry
      return { _tag: "RequestSent", key: keyOf(entry.key), position, request, provider, model, n }
    }
    case "done": {
      const { elapsed, failures, inputTokens, outputTokens, position, request, samples } = entry
      return {
        _tag: "RequestDone",
        key: keyOf(entry.key),
        position,
        request,
        provider: undefined,
        model: "",
        samples: Array.from({ length: samples }, () => sampleOf({ request, inputTokens, outputTokens })),
        failures: Array(failures),
        elapsed
      }
    }
    case "failed": {
      const { elapsed, position, request } = entry
      return {
        _tag: "RequestFailed",
        key: keyOf(entry.key),
        position,
        request,
        provider: undefined,
        model: "",
        error: undefined,
        cause: Cause.empty,
        elapsed
      }
    }
    case "raced":
      return { _tag: "Raced", key: keyOf(entry.key), position: entry.position }
    case "run":
    case "ask":
    case "given":
    case "returned":
    case "bypass":
    case "prompt":
    case "cut":
    case "pause":
    case "end":
      return undefined
  }
}

// Counters look at the hash of a prompt alone.
const keyOf = (key: TracedKey): Key => key as Key

const sampleOf = (metadata: Metadata): Sample => ({ text: "", metadata: defined(metadata) })
