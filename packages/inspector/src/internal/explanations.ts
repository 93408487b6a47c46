import * as Explain from "@llm-cache/core/Explain"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import type { TracedKey } from "@llm-cache/core/Trace"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { OpenTrace } from "./indexes.ts"

/** How long a page waits for an explanation, in milliseconds. */
const patience = 150

/** The most explanations that are kept. */
const most = 200

/** Explanations of misses. Explanations that compare many prompts are found in the background. */
export interface Explanations {
  /** `undefined` as long as it is not found. */
  readonly explain: (
    trace: OpenTrace,
    draw: {
      readonly key: TracedKey
      readonly position: number
      readonly row: number
      readonly from?: number | undefined
    },
    options?: { readonly wait?: boolean }
  ) => Effect.Effect<Explain.Explanation | undefined, StoreError>
  /** The misses of a run, and which of them follow from another. */
  readonly misses: (trace: OpenTrace) => Effect.Effect<ReadonlyArray<Explain.Miss>, StoreError>
}

/** Explanations by a store, found until the scope closes. */
export const makeExplanations = Effect.fnUntraced(function*(
  store: Store
): Effect.fn.Return<Explanations, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const fork = Effect.runForkWith(yield* Effect.context())
  const kept = new Map<string, Fiber.Fiber<Explain.Explanation, StoreError>>()
  let lastMisses: { readonly name: string; readonly misses: ReadonlyArray<Explain.Miss> } | undefined
  return {
    explain: Effect.fnUntraced(function*(trace, { from, key, position, row }, options) {
      const name = `${trace.run.id} ${row} ${from}`
      let fiber = kept.get(name)
      if (fiber === undefined) {
        const { identity, path } = key
        const explanation = Effect.flatMap(
          trace.index.promptText(key),
          (prompt = "") => Explain.miss(store, { identity, path, position, prompt, from })
        )
        // At once, so that another look at the same miss finds it.
        fiber = Fiber.runIn(fork(explanation), scope)
        kept.set(name, fiber)
        if (kept.size > most) kept.delete(kept.keys().next().value!)
      }
      const found = yield* Effect.timeoutOption(Fiber.await(fiber), options?.wait === true ? "1 minute" : patience)
      if (found._tag === "None") return undefined
      // The next look at it tries again.
      if (Exit.isFailure(found.value) && kept.get(name) === fiber) kept.delete(name)
      return yield* found.value
    }),
    misses: Effect.fnUntraced(function*(trace) {
      const name = `${trace.run.id} ${trace.index.state().read}`
      if (lastMisses?.name === name) return lastMisses.misses
      const misses = yield* Explain.misses(store, trace.run.file)
      lastMisses = { name, misses }
      return misses
    })
  }
})
