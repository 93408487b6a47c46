import { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Trace from "@llm-cache/core/Trace"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { findKey } from "./usedStore.ts"

/** Positions of a key that a run missed, and that no request filled. */
export interface Missed {
  readonly key: Key
  readonly positions: ReadonlyArray<number>
}

/** The samples that a run missed. A key with a prompt that neither the trace nor the store has is left out. */
export const missedSamples = (store: Store, run: Trace.Run): Effect.Effect<ReadonlyArray<Missed>, StoreError> =>
  Effect.gen(function*() {
    const prompts = new Map<Trace.TracedKey, string>()
    const missed = new Map<Trace.TracedKey, Set<number>>()
    yield* Stream.runForEach(Trace.read(run.file), (entry) =>
      Effect.sync(() => {
        if (entry.type === "prompt") prompts.set(entry.key, entry.text)
        else if (entry.type === "miss") {
          const positions = missed.get(entry.key) ?? new Set()
          missed.set(entry.key, positions.add(entry.position))
        } else if (entry.type === "stored") missed.get(entry.key)?.delete(entry.position)
      }))
    const found: Array<Missed> = []
    for (const [traced, positions] of missed) {
      if (positions.size === 0) continue
      const prompt = prompts.get(traced)
      const key = prompt === undefined
        ? yield* findKey(store, traced)
        : new Key(traced.identity, prompt, traced.path)
      if (key !== undefined) found.push({ key, positions: [...positions].sort((a, b) => a - b) })
    }
    return found
  })
