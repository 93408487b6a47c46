import * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import type { Model } from "../../LlmModel.ts"
import type { SampleError } from "../../SampleError.ts"
import { KeyMap } from "./keyMap.ts"

/** The memories above a model that outlive it: each tells, before the model draws of a key, what it recorded of it. */
export const makeRecalls = (source: Pick<Model, "attach">) => {
  const recalls = new Set<(key: Key) => Effect.Effect<void, SampleError>>()
  let recalled = new KeyMap<true>()

  const attach: NonNullable<Model["attach"]> = (recall) =>
    Effect.andThen(
      Effect.acquireRelease(
        Effect.sync(() => {
          recalls.add(recall)
          recalled = new KeyMap()
        }),
        () => Effect.sync(() => recalls.delete(recall))
      ),
      source.attach === undefined ? Effect.void : source.attach(recall)
    )

  const behind = <Of extends ReadonlyArray<unknown>>(
    draw: (key: Key, ...of: Of) => ReturnType<Model["draw"]>
  ): typeof draw =>
  (key, ...of) =>
    Effect.suspend(() =>
      isRecalled(key)
        ? draw(key, ...of)
        : Effect.flatMap(Effect.forEach(recalls, (recall) => recall(key), { discard: true }), () => {
          recalled.set(key, true)
          return draw(key, ...of)
        })
    )

  const isRecalled = (key: Key): boolean => recalls.size === 0 || recalled.get(key) === true

  return { attach, behind, isRecalled }
}
