import { assert, describe, it } from "@effect/vitest"
import { LlmModel, SampleError } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Duration, Effect } from "effect"

const retryable = ["RateLimited", "ServerFault", "Transport", "Timeout"] as const
const final = [
  "BadKey",
  "BadRequest",
  "ContentPolicy",
  "ContextTooLong",
  "QuotaExhausted",
  "RepeatedResponse",
  "UntrustedCertificate",
  "UnusableResponse"
] as const

describe("a ProviderError", () => {
  it.effect.each([...retryable, ...final])("is made by the name of its reason: %s", (tag) =>
    Effect.gen(function*() {
      const error = SampleError.providerError(tag)
      assert.instanceOf(error, SampleError.ProviderError)
      assert.strictEqual(error.reason._tag, tag)
      assert.strictEqual(error.isRetryable, retryable.some((one) => one === tag))
      assert.strictEqual(error.message, `test: ${error.reason.description}`)
      assert.match(error.reason.description, /^[a-z].{10,}$/)
      assert.isUndefined(error.retryAfter)
      const caught = yield* Effect.catchReason(error, "ProviderError", tag, (reason) => Effect.succeed(reason))
      assert.strictEqual(caught, error.reason)
    }))

  it("takes the fields of its reason, and the provider's name", () => {
    const error = SampleError.providerError("ServerFault", { provider: "acme", status: 503, description: "down" })
    assert.strictEqual(error.message, "acme: down")
    assert.strictEqual(error.reason.status, 503)
  })

  it("takes the wait in every form of a duration, also in the classes of the reasons", () => {
    const wait = Duration.seconds(5)
    for (const retryAfter of ["5 seconds", 5000, wait] as const) {
      for (const tag of ["RateLimited", "ServerFault", "Timeout"] as const) {
        assert.deepStrictEqual(SampleError.providerError(tag, { retryAfter }).retryAfter, wait)
      }
      assert.deepStrictEqual(new SampleError.RateLimited({ retryAfter }).retryAfter, wait)
      assert.deepStrictEqual(new SampleError.ServerFault({ retryAfter }).retryAfter, wait)
      assert.deepStrictEqual(new SampleError.Timeout({ retryAfter }).retryAfter, wait)
    }
    assert.notProperty(new SampleError.RateLimited({ description: "busy" }), "retryAfter")
  })

  it("says how often and how long the model tried", () => {
    const reason = new SampleError.ServerFault({ description: "down" })
    const message = (fields: { readonly tries?: number; readonly elapsed?: Duration.Duration }) =>
      new SampleError.ProviderError({ provider: "acme", reason, ...fields }).message
    assert.strictEqual(message({}), "acme: down")
    assert.strictEqual(message({ tries: 3 }), "acme, 3 tries: down")
    assert.strictEqual(message({ tries: 7, elapsed: Duration.millis(66_400) }), "acme, 7 tries in 66 s: down")
    assert.strictEqual(message({ tries: 2, elapsed: Duration.millis(15) }), "acme, 2 tries in 15 ms: down")
  })

  it.effect("fails the draw of a test model as it is", () =>
    Effect.gen(function*() {
      const busy = SampleError.providerError("RateLimited", { retryAfter: "5 seconds" })
      const { model } = yield* TestModel.make({ script: [busy, "42"] })
      const draw = Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model)
      assert.strictEqual(yield* Effect.flip(draw), busy)
      assert.strictEqual(yield* draw, "42")
    }))
})
