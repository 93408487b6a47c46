import { assert, describe } from "@effect/vitest"
import { LlmModel, Persistent, SampleStore } from "@llm-cache/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { NewPlace } from "../../SampleStoreTest.ts"
import { makeKey, putTexts, type Subject } from "./subject.ts"

export const newPlaces = <E>(
  { test }: Subject,
  places: { readonly [name: string]: Effect.Effect<NewPlace<E>> }
): void => {
  describe("is opened and read without a trace", () => {
    for (const [name, place] of Object.entries(places)) {
      const open = <A, E2>(layer: Layer.Layer<SampleStore.SampleStore, E>, use: Use<A, E2>) =>
        Effect.scoped(Effect.flatMap(
          Layer.build(Layer.fresh(layer)),
          (context) => use(Context.get(context, SampleStore.SampleStore))
        ))

      test(`in replication: ${name}`, () =>
        Effect.gen(function*() {
          const { layer, traces } = yield* place
          const before = yield* traces
          const miss = yield* LlmModel.sampleMany("a prompt", 2).pipe(
            Effect.provide(Persistent.layerReplication({ store: layer, model: "m" })),
            Effect.flip
          )
          assert.strictEqual(Predicate.isTagged(miss, "ReplicationCacheMiss"), true)
          assert.deepStrictEqual(yield* traces, before)
        }))

      test(`and changed only by the first request: ${name}`, () =>
        Effect.gen(function*() {
          const { layer, traces } = yield* place
          const before = yield* traces
          const key = yield* makeKey()
          yield* open(layer, (store) =>
            Effect.gen(function*() {
              assert.isUndefined(yield* store.get(key, 0))
              assert.deepStrictEqual(yield* store.positions(key), [])
              assert.deepStrictEqual(yield* Stream.runCollect(store.keys()), [])
              assert.deepStrictEqual(yield* Stream.runCollect(store.keys({ promptHash: "ab12" })), [])
              assert.deepStrictEqual(yield* Stream.runCollect(store.identities), [])
              assert.deepStrictEqual(store.peek?.(key, 0, 1) ?? [], [])
              yield* store.remove(key, [0])
              yield* store.leases?.release(key, [0], "nobody") ?? Effect.void
            }))
          assert.deepStrictEqual(yield* traces, before)
          yield* open(layer, (store) =>
            Effect.gen(function*() {
              yield* store.prepare(key)
              assert.isUndefined(yield* store.get(key, 0))
              yield* putTexts(store, key, [0, "a"])
            }))
          assert.notDeepEqual(yield* traces, before)
          yield* open(layer, (store) => Effect.map(store.get(key, 0), (drawn) => assert.strictEqual(drawn?.text, "a")))
        }))
    }
  })
}

type Use<A, E> = (store: SampleStore.Store) => Effect.Effect<A, E>
