import { assert, describe, it } from "@effect/vitest"
import { Audit, Independent, Key, LlmModel, MemoryStore, Persistent, Repeatable, SampleError } from "@llm-cache/core"
import { Effect } from "effect"
import { using } from "./support/provider.ts"

/** A gateway whose cache answers every request for a prompt with the first response. */
const makeGateway = (options?: { readonly isCaching?: boolean; readonly uniqueResponseIds?: boolean }) => {
  const cached = new Map<string, LlmModel.Generation>()
  let responses = 0
  return LlmModel.make({
    model: "m",
    uniqueResponseIds: options?.uniqueResponseIds,
    generate: ({ n, prompt }) =>
      Effect.sync(() => {
        const fresh = { responseId: `r${responses}`, samples: Array.from({ length: n }, (_, i) => `${responses}.${i}`) }
        responses++
        const answer = options?.isCaching === false ? fresh : cached.get(prompt) ?? fresh
        cached.set(prompt, answer)
        return answer
      })
  })
}

const repeated = <A>(effect: Effect.Effect<A, SampleError.SampleError>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert(error._tag === "ProviderError")
    assert.strictEqual(error.reason._tag, "RepeatedResponse")
    assert.isFalse(error.isRetryable)
    assert.include(error.message, "Turn that cache off")
    return error
  })

describe("A response that came before for a prompt", () => {
  it.effect.each(["a provider", "Independent", "Repeatable", "Persistent"] as const)(
    "is no draw of %s",
    (name) =>
      Effect.gen(function*() {
        const gateway = yield* makeGateway()
        const model = name === "a provider"
          ? gateway
          : name === "Independent"
          ? yield* Independent.make(gateway)
          : name === "Repeatable"
          ? yield* Repeatable.make(gateway)
          : yield* Persistent.make(gateway, yield* MemoryStore.make)
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 2).pipe(using(model)), ["0.0", "0.1"])
        yield* repeated(LlmModel.sampleMany("p", 4, { batch: 2 }).pipe(using(model)))
        assert.strictEqual(yield* LlmModel.sampleOne("another").pipe(using(model)), "2.0")
      }).pipe(Effect.scoped)
  )

  it.effect("is found among the samples that an earlier process recorded, and is not stored again", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const gateway = yield* makeGateway()
      const first = yield* Persistent.make(gateway, store)
      yield* LlmModel.sampleMany("p", 2).pipe(using(first))
      // Another process: it has received nothing yet, and its gateway has the same cache.
      const other = yield* makeGateway()
      const second = yield* Persistent.make(other, store)
      const error = yield* repeated(LlmModel.sampleMany("p", 4, { batch: 2 }).pipe(using(second)))
      assert.include(error.message, `"r0"`)
      assert.lengthOf(yield* store.positions(new Key.Key(first.identity, "p", [])), 2)
    }).pipe(Effect.scoped))

  it.effect("is a draw if the server repeats its ids, with other texts or with the option", () =>
    Effect.gen(function*() {
      const constant = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.sync(() => ({ responseId: "r", samples: [`${Math.random()}`] }))
      })
      assert.lengthOf(yield* LlmModel.sampleMany("p", 3).pipe(using(yield* Independent.make(constant))), 3)
      const trusted = yield* makeGateway({ uniqueResponseIds: false })
      const store = yield* MemoryStore.make
      const model = yield* Persistent.make(trusted, store)
      assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 2, { batch: 1 }).pipe(using(model)), ["0.0", "0.0"])
    }).pipe(Effect.scoped))

  it.effect("is reported by an audit, also among recorded samples", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const key = new Key.Key((yield* makeGateway()).identity, "p", [])
      const sample = (request: string, text: string) => ({
        drawn: { text, metadata: { request, index: 0, responseId: "r" }, origins: [] }
      })
      yield* store.put(key, [
        { position: 0, ...sample("one", "a") },
        { position: 1, ...sample("one", "b") },
        { position: 2, ...sample("two", "a") }
      ], "drop")
      const audit = yield* Audit.make
      const model = audit.watch(yield* Persistent.make(yield* makeGateway(), store), "cache")
      yield* LlmModel.sampleMany("p", 2).pipe(using(model))
      yield* audit.check
      yield* LlmModel.sampleMany("p", 3).pipe(using(model))
      assert.deepStrictEqual((yield* audit.report)[0]!.repeatedResponses, ["r"])
      assert.include((yield* Effect.flip(audit.check)).message, "responses r, which came more than once")
    }).pipe(Effect.scoped))

  it.effect("is not every response of a gateway without a cache", () =>
    Effect.gen(function*() {
      const gateway = yield* makeGateway({ isCaching: false })
      const model = yield* Persistent.make(gateway, yield* MemoryStore.make)
      assert.lengthOf(yield* LlmModel.sampleMany("p", 10, { batch: 3 }).pipe(using(model)), 10)
    }).pipe(Effect.scoped))
})
