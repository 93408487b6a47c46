import { assert, describe, it } from "@effect/vitest"
import { Attempt, Independent, LlmModel, MemoryStore, Persistent } from "@llm-cache/core"
import { Cause, Effect, Exit, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { NoRequests, TestModel } from "../src/index.ts"

const provider = LlmModel.layer({
  model: "large",
  provider: "acme",
  generate: ({ n }) => Effect.succeed({ samples: Array<string>(n).fill("an answer that costs") })
})

const defectOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(self), (exit) => Exit.isFailure(exit) ? Cause.squash(exit.cause) as Error : undefined)

describe("NoRequests.layer", () => {
  it.effect("stops a request to a provider, and names the test and the prompt", () =>
    Effect.gen(function*() {
      for (const retry of [Attempt.retry({ times: 3 }), Effect.map((value: string) => value)]) {
        const defect = yield* LlmModel.sampleOne("6 * 7?").pipe(
          retry as <A>(self: A) => A,
          Effect.provide(LlmModel.stack(Independent.layer, provider)),
          Effect.provide(NoRequests.layer),
          defectOf
        )
        assert.instanceOf(defect, NoRequests.ForbiddenRequest)
        assert.include(defect.message, "stops a request to a provider, and names the test and the prompt")
        assert.include(defect.message, "a request to acme (large, default temperature): \"6 * 7?\"")
      }
    }))

  it.effect("stops it also if the model was built outside", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.LlmModel
      const defect = yield* LlmModel.sampleOne("6 * 7?").pipe(
        Effect.provideService(LlmModel.LlmModel, model),
        Effect.provide(NoRequests.layer),
        defectOf
      )
      assert.instanceOf(defect, NoRequests.ForbiddenRequest)
    }).pipe(Effect.provide(provider)))

  it.effect("stops the requests of its HTTP client", () =>
    Effect.gen(function*() {
      const request = HttpClientRequest.post("http://localhost/v1/chat/completions").pipe(
        HttpClientRequest.bodyJsonUnsafe({ messages: [{ role: "user", content: "6 * 7?" }] })
      )
      const defect = yield* HttpClient.execute(request).pipe(Effect.provide(NoRequests.layer), defectOf)
      assert.instanceOf(defect, NoRequests.ForbiddenRequest)
      assert.include(defect.message, "http://localhost/v1/chat/completions")
      assert.include(defect.message, "6 * 7?")
    }))

  it.effect("lets test models and caches answer", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const asked = LlmModel.sampleOne("6 * 7?")
      yield* Effect.provide(asked, LlmModel.stack(Persistent.layer({ store }), provider))
      const replayed = Effect.provide(asked, LlmModel.stack(Persistent.layer({ store }), provider))
      assert.strictEqual(yield* Effect.provide(replayed, NoRequests.layer), "an answer that costs")
      const scripted = Effect.provide(asked, Layer.orDie(TestModel.layer({ script: ["42"] })))
      assert.strictEqual(yield* Effect.provide(scripted, NoRequests.layer), "42")
    }))
})
