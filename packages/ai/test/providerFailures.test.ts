import { assert, describe, it } from "@effect/vitest"
import { CacheErrors } from "@llm-cache/ai"
import { Attempt, Independent, MemoryStore } from "@llm-cache/core"
import { Duration, Effect, Fiber, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, ResponseIdTracker } from "effect/ai"
import { TestClock } from "effect/testing"
import { cached, deltas, finish, replayed, scripted, text } from "./support/scripted.ts"

const request = { method: "POST", url: "https://example.org/" }

/** An error of a provider, of each reason that a provider has. */
const failures = {
  RateLimitError: new AiError.RateLimitError({}),
  QuotaExhaustedError: new AiError.QuotaExhaustedError({}),
  AuthenticationError: new AiError.AuthenticationError({ kind: "InvalidKey" }),
  ContentPolicyError: new AiError.ContentPolicyError({ description: "no" }),
  InvalidRequestError: new AiError.InvalidRequestError({ description: "wrong field" }),
  InvalidUserInputError: new AiError.InvalidUserInputError({ description: "no such file" }),
  UnsupportedSchemaError: new AiError.UnsupportedSchemaError({ description: "no such schema" }),
  InternalProviderError: new AiError.InternalProviderError({ description: "oops" }),
  "NetworkError, TransportError": new AiError.NetworkError({ reason: "TransportError", ...request }),
  "NetworkError, InvalidUrlError": new AiError.NetworkError({ reason: "InvalidUrlError", ...request }),
  InvalidOutputError: new AiError.InvalidOutputError({ description: "no part" }),
  InvalidResponseError: new AiError.InvalidResponseError({ description: "no JSON" }),
  UnknownError: new AiError.UnknownError({ description: "?" })
}

type Name = keyof typeof failures

const named = (isRetryable: boolean) =>
  (Object.keys(failures) as Array<Name>).filter((name) => failures[name].isRetryable === isRetryable)

const failing = (name: Name) => AiError.make({ module: "Provider", method: "m", reason: failures[name] })

const schema = Schema.Struct({ b: Schema.String })

/** The second step of a program, by each method. */
const steps = {
  generateText: Effect.map(LanguageModel.generateText({ prompt: "b" }), ({ text }) => text),
  generateObject: Effect.map(LanguageModel.generateObject({ prompt: "b", schema }), ({ value }) => value.b),
  streamText: Stream.runFold(
    LanguageModel.streamText({ prompt: "b" }),
    () => "",
    (all, part) => part.type === "text-delta" ? all + part.delta : all
  )
}

/** A provider whose second request fails. */
const failingOnce = (error: AiError.AiError) =>
  scripted(
    ({ responseFormat }, i) =>
      i === 1
        ? Effect.fail(error)
        : [text(responseFormat.type === "json" ? `{"b":"answer ${i}"}` : `answer ${i}`), finish()],
    (_, i) => i === 1 ? Stream.fail(error) : Stream.fromIterable(deltas(`answer ${i}`))
  )

const firstStep = Effect.map(LanguageModel.generateText({ prompt: "a" }), ({ text }) => text)

describe.each(Object.keys(steps) as Array<keyof typeof steps>)("Attempt.retry around %s", (method) => {
  it.effect.each(named(true))(
    "resumes after a failure of the provider, and its replay has the same values: %s",
    (name) =>
      Effect.gen(function*() {
        const store = yield* MemoryStore.make
        const provider = failingOnce(failing(name))
        const program = Effect.all([firstStep, steps[method]]).pipe(
          Attempt.retry({ times: 3 }),
          Effect.map(({ attempts, value }) => ({ attempts, value })),
          Effect.provide(Independent.layer)
        )
        const first = yield* Effect.provide(program, cached(provider.layer, { store }))
        assert.deepStrictEqual(first, { attempts: 1, value: ["answer 0", "answer 2"] })
        assert.deepStrictEqual(yield* Effect.provide(program, replayed(store)), first)
      })
  )

  it.effect.each(named(false))(
    "ends at once with the provider's own error if it is not retryable: %s",
    (name) =>
      Effect.gen(function*() {
        const error = failing(name)
        const provider = failingOnce(error)
        const ended = yield* Effect.all([firstStep, steps[method]]).pipe(
          Attempt.retry({ times: 3 }),
          Effect.flip,
          Effect.provide(Independent.layer),
          Effect.provide(cached(provider.layer))
        )
        assert.strictEqual(ended, error)
        assert.strictEqual(provider.requests.length, 2)
      })
  )
})

describe("Attempt.retry", () => {
  it.effect("resumes not before the provider allows it", () =>
    Effect.gen(function*() {
      const busy = new AiError.RateLimitError({ retryAfter: Duration.seconds(7) })
      const provider = failingOnce(AiError.make({ module: "Provider", method: "m", reason: busy }))
      const fiber = yield* Effect.all([firstStep, steps.generateText]).pipe(
        Attempt.retry({ times: 3 }),
        Effect.provide(Independent.layer),
        Effect.provide(cached(provider.layer)),
        Effect.forkChild
      )
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(provider.requests.length, 2)
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).value, ["answer 0", "answer 2"])
    }))

  it.effect("does not retry a miss", () =>
    Effect.gen(function*() {
      let runs = 0
      const store = yield* MemoryStore.make
      const error = yield* Effect.andThen(Effect.sync(() => runs++), firstStep).pipe(
        Attempt.retry({ times: 3 }),
        Effect.flip,
        Effect.provide(Independent.layer),
        Effect.provide(replayed(store))
      )
      assert.isTrue(CacheErrors.isMiss(error))
      assert.strictEqual(runs, 1)
    }))
})

describe("a request that the provider refuses", () => {
  it.effect("is asked once, also under a ResponseIdTracker", () =>
    Effect.gen(function*() {
      const provider = scripted((_, i) =>
        i === 0
          ? [{ type: "response-metadata", id: "r1" } as const, text("one"), finish()]
          : Effect.fail(failing("InvalidRequestError"))
      )
      const turns = Effect.gen(function*() {
        const first = Prompt.make("first")
        const { content } = yield* LanguageModel.generateText({ prompt: first })
        const rest = Prompt.concat(Prompt.fromResponseParts(content), "second")
        return yield* LanguageModel.generateText({
          prompt: Prompt.fromMessages([...first.content, ...rest.content])
        })
      }).pipe(
        Effect.flip,
        Effect.provideServiceEffect(ResponseIdTracker.ResponseIdTracker, ResponseIdTracker.make)
      )
      yield* Effect.provide(turns, cached(provider.layer))
      assert.strictEqual(provider.requests.length, 2)
    }))
})
