import * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import type { Model } from "../../Model.ts"
import type { Entry } from "../../Sample.ts"
import type { SampleError, StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import { readAll } from "../store/readAll.ts"
import { KeyMap } from "./keyMap.ts"

type Resume = (key: Key) => Effect.Effect<void, SampleError>

/** The samples that a store has of a key, without the damaged ones if `onDamaged` continues. */
export const recordedEntries = (
  store: Store,
  key: Key,
  onDamaged: (error: StoreError) => Effect.Effect<void, StoreError> = Effect.fail
): Effect.Effect<ReadonlyArray<Entry>, StoreError> =>
  Effect.flatMap(store.positions(key), (positions) => readAll(store, key, positions, onDamaged))

/** Tells a source which of its draws a store has recorded, or has yet to take, once per key. */
export const makeResume = (
  store: Store,
  restore: NonNullable<Model["restore"]>,
  pendingOf: (key: Key) => ReadonlyArray<Entry>
): Resume => {
  const resumed = new KeyMap<true>()
  return (key) => {
    if (resumed.get(key)) return Effect.void
    return Effect.flatMap(recordedEntries(store, key), (recorded) => {
      const entries = [...recorded, ...pendingOf(key)]
      return Effect.map(
        entries.length === 0 ? Effect.void : restore(key, entries),
        () => resumed.set(key, true)
      )
    })
  }
}

/**
 * The stores above a model that forgets: each of them tells it, before its first draw of a key, which of its draws are
 * recorded.
 */
export const makeAttached = (source: Pick<Model, "attach">) => {
  // Made when they are needed: a server has thousands of readers, and most have no store above them.
  let attached: Set<Resume> | undefined
  let resumed: KeyMap<true> | undefined

  const attach: NonNullable<Model["attach"]> = (resume) =>
    Effect.andThen(
      Effect.acquireRelease(
        Effect.sync(() => {
          attached = (attached ?? new Set()).add(resume)
          resumed = undefined
        }),
        () => Effect.sync(() => attached?.delete(resume))
      ),
      source.attach === undefined ? Effect.void : source.attach(resume)
    )

  const isResumed = (key: Key): boolean => !attached?.size || resumed?.get(key) === true

  const resumeAll = <A, E>(key: Key, draw: Effect.Effect<A, E>): Effect.Effect<A, E | SampleError> => {
    // A store that attaches meanwhile has yet to tell its samples.
    const known = resumed ??= new KeyMap()
    return Effect.andThen(
      Effect.forEach(attached ?? [], (resume) => resume(key), { discard: true }),
      Effect.suspend(() => {
        known.set(key, true)
        return draw
      })
    )
  }

  /** The draw, after the attached stores told their recorded samples of its key. */
  const resumedDraw = (draw: Model["draw"]): Model["draw"] => (key, position, batch, options) =>
    Effect.suspend(() =>
      isResumed(key)
        ? draw(key, position, batch, options)
        : resumeAll(key, draw(key, position, batch, options))
    )

  return { attach, isResumed, resumedDraw }
}
