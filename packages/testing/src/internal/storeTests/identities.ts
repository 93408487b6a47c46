import { assert, describe } from "@effect/vitest"
import { SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { triples } from "../values.ts"
import { makeKey, nonEmpty, putTexts, type Subject, unique } from "./subject.ts"

export const identities = ({ open, other, test }: Subject): void => {
  describe("lists identities", () => {
    test("each once, and counts its prompts, samples and forks", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const again = yield* other(store)
        const all = triples(model)
        for (const [i, options] of all.entries()) {
          for (let prompt = 0; prompt <= i % 3; prompt++) {
            const at = { ...options, prompt: `p${prompt}` }
            yield* putTexts(store, yield* makeKey(at), [0, "a"], [1, "b"], [4, "c"])
            yield* putTexts(store, yield* makeKey({ ...at, path: ["f"] }), [0, "a"])
            yield* putTexts(store, yield* makeKey({ ...at, path: ["f", `${prompt}`] }), [0, "a"])
          }
          yield* putTexts(store, yield* makeKey({ ...options, prompt: "only in a fork", path: ["g"] }), [2, "a"])
        }
        const found = yield* countsOf(again, model)
        assert.strictEqual(found.size, all.length)
        for (const [i, options] of all.entries()) {
          const { identity } = yield* makeKey(options)
          const prompts = i % 3 + 1
          assert.deepStrictEqual(
            found.get(identity.id),
            { prompts: prompts + 1, samples: 5 * prompts + 1, forks: prompts + 2 }
          )
        }
      }))

    test("as a list of all keys has them, also hundreds of keys and a position beyond 2^20", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const keys = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, i) => i),
          (i) => makeKey({ model, prompt: `p${i % 43}`, path: i < 43 ? [] : [`${i}`] })
        )
        yield* Effect.forEach(keys, (key) => putTexts(store, key, [0, "x"]), { concurrency: 20 })
        yield* putTexts(store, keys[0]!, [2 ** 20 + 7, "far"])
        const counts = { prompts: 43, samples: 301, forks: 257 }
        assert.deepStrictEqual([...(yield* countsOf(store, model)).values()], [counts])
        // A store that wraps another counts its own keys.
        const wrapping = SampleStore.make({ ...store, keys: (filter) => Stream.take(store.keys(filter), 0) })
        assert.deepStrictEqual(yield* Stream.runCollect(wrapping.identities), [])
        const derived = SampleStore.make({ ...store, identities: undefined })
        assert.deepStrictEqual([...(yield* countsOf(derived, model)).values()], [counts])
      }))

    test("none of an identity without samples", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const key = yield* makeKey({ model })
        const fork = yield* makeKey({ model, path: ["f"] })
        yield* store.prepare(key)
        const emptied = yield* makeKey({ model, prompt: "another prompt" })
        yield* putTexts(store, emptied, [0, "a"])
        yield* store.remove(emptied, [0])
        assert.strictEqual((yield* countsOf(store, model)).size, 0)
        yield* putTexts(store, key, [0, "a"])
        yield* putTexts(store, fork, [0, "a"])
        yield* store.remove(key, [0])
        assert.deepStrictEqual([...(yield* countsOf(store, model)).values()], [{ prompts: 1, samples: 1, forks: 1 }])
        yield* store.remove(fork, [0])
        assert.strictEqual((yield* countsOf(store, model)).size, 0)
      }))

    test("with the tokens of each request once and the time of the last, or without them", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const sample = (position: number, request: string, index: number, requestSamples: number) => ({
          position,
          drawn: {
            text: `${request} ${index}`,
            metadata: {
              request,
              index,
              requestSamples,
              inputTokens: 10,
              outputTokens: 7,
              createdAt: 1_760_000_000_000 + position
            },
            origins: []
          }
        })
        const one = key.identity.id
        yield* store.put(
          key,
          [sample(0, `${one} a`, 0, 3), sample(2, `${one} a`, 1, 3), sample(5, `${one} a`, 2, 3)],
          "drop"
        )
        yield* store.put(key, [sample(1, `${one} b`, 0, 1)], "drop")
        yield* store.put(key, nonEmpty([sample(3, `${one} c`, 0, 1)]), "drop")
        const again = yield* other(store)
        const found = (yield* Stream.runCollect(again.identities)).filter(Result.isSuccess)
          .find(({ success }) => success.identity.id === key.identity.id)!.success
        if (found.inputTokens !== undefined) {
          assert.deepStrictEqual([found.inputTokens, found.outputTokens], [30, 21])
        }
        if (found.last !== undefined) assert.isAtLeast(found.last, 1_760_000_000_005)
      }))
  })

  describe("finds keys by the hash of their prompt", () => {
    test("or by its first digits, in one identity or in all", () =>
      Effect.gen(function*() {
        const store = yield* open
        const models = [unique(), unique()]
        for (const model of models) {
          for (let i = 0; i < 60; i++) {
            for (const path of [[], ["f"]]) {
              yield* putTexts(store, yield* makeKey({ model, prompt: `p${i}`, path }), [0, "a"], [1, "b"])
            }
          }
        }
        const again = yield* other(store)
        const { identity, promptHash } = yield* makeKey({ model: models[0]!, prompt: "p17" })
        const rows = (filter: SampleStore.KeyFilter) =>
          Effect.map(Stream.runCollect(again.keys(filter)), (found) =>
            found.filter(Result.isSuccess)
              .filter(({ success: { key } }) => models.includes(key.identity.name))
              .map(({ success: { key, samples } }) => [key.identity.name, key.prompt, ...key.path, samples].join())
              .toSorted())
        const expected = (model: string) => [`${model},p17,2`, `${model},p17,f,2`]
        for (const hash of [promptHash, promptHash.slice(0, 8), promptHash.slice(0, 15).toUpperCase()]) {
          assert.deepStrictEqual(yield* rows({ identity, promptHash: hash }), expected(models[0]!).toSorted())
          assert.deepStrictEqual(yield* rows({ promptHash: hash }), models.flatMap(expected).toSorted())
        }
        assert.deepStrictEqual(yield* rows({ identity, promptHash: "0".repeat(64) }), [])
        assert.deepStrictEqual(yield* rows({ identity, promptHash: `${promptHash}0` }), [])
        assert.deepStrictEqual(yield* rows({ identity, promptHash: "p%_*" }), [])
        const first = yield* rows({ identity, promptHash: promptHash[0]! })
        const whole = yield* Effect.forEach(Array.from({ length: 60 }, (_, i) => `p${i}`), (prompt) =>
          makeKey({ prompt }))
        assert.strictEqual(
          first.length,
          2 * whole.filter((key) =>
            key.promptHash.startsWith(promptHash[0]!)
          ).length
        )
        assert.deepStrictEqual((yield* rows({ identity, promptHash: "" })).length, 120)
      }))

    test("each of hundreds of forks once", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const keys = yield* Effect.forEach(
          Array.from({ length: 150 }, (_, i) => i),
          (i) => makeKey({ model, path: i === 0 ? [] : [`${i}`] })
        )
        yield* Effect.forEach(keys, (key) => putTexts(store, key, [0, "x"]), { concurrency: 20 })
        const { identity, promptHash } = keys[0]!
        const found = (yield* Stream.runCollect(store.keys({ identity, promptHash }))).map(Result.getOrThrow)
        assert.strictEqual(found.length, 150)
        assert.strictEqual(new Set(found.map(({ key }) => key.path.join())).size, 150)
      }))
  })
}

const countsOf = (store: SampleStore.Store, model: string) =>
  Effect.map(
    Stream.runCollect(store.identities),
    (found) =>
      new Map(
        found.filter(Result.isSuccess).flatMap(({ success: { forks, identity, prompts, samples } }) =>
          identity.name.toLowerCase().startsWith(model) ? [[identity.id, { prompts, samples, forks }] as const] : []
        )
      )
  )
