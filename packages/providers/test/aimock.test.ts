// Tests against a server by others, which ignores `n` and always brings one choice.
import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Independent, Key, LlmModel, Persistent, Repeatable } from "@llm-cache/core"
import { Duration, Effect, Redacted, Schedule } from "effect"
import { clients } from "./support/clients.ts"
import { makeDirectory, readTree } from "./support/directory.ts"
import { reasonOf, sampling } from "./support/model.ts"

const makeMock = Effect.acquireRelease(
  Effect.promise(() => LLMock.create({ host: "127.0.0.1", port: 0, auth: { apiKeys: ["sk-test"] } })),
  (mock) => Effect.promise(() => mock.stop())
)

/** A mock that answers a prompt with 1, 2, 3, … */
const makeCounter = Effect.map(makeMock, (mock) => {
  let given = 0
  mock.onMessage("count", () => ({ content: String(++given), usage: { prompt_tokens: 3, completion_tokens: 1 } }))
  return mock
})

describe.each(clients)("aimock over %s", (_, client) => {
  it.effect("asks for one sample per request after an answer has shown that the server ignores `n`", () =>
    Effect.gen(function*() {
      const mock = yield* makeCounter
      const texts = yield* sampling(client, mock.url)(LlmModel.sampleMany("count", 5))
      assert.deepStrictEqual(texts.toSorted(), ["1", "2", "3", "4", "5"])
      const asked = mock.getRequests().map(({ body }) => body !== null && "n" in body ? body["n"] : 1)
      assert.deepStrictEqual(asked, [5, 1, 1, 1, 1])
    }))

  it.effect("samples through Independent, Repeatable and Persistent", () =>
    Effect.gen(function*() {
      const mock = yield* makeCounter
      const directory = yield* makeDirectory
      const requests = () => mock.getRequests().length
      yield* Effect.gen(function*() {
        const many = LlmModel.sampleMany("count", 5)
        const repeated = Effect.provide(Effect.all([many, many]), Repeatable.layer)
        assert.deepStrictEqual(yield* repeated, [["1", "2", "3", "4", "5"], ["1", "2", "3", "4", "5"]])
        assert.strictEqual(requests(), 5)
        const independent = Effect.provide(Effect.all([many, many]), Independent.layer)
        assert.deepStrictEqual(yield* independent, [["6", "7", "8", "9", "10"], ["11", "12", "13", "14", "15"]])
        assert.strictEqual(requests(), 15)
        const persistent = Effect.provide(many, Persistent.layer({ directory }))
        assert.deepStrictEqual(yield* persistent, ["16", "17", "18", "19", "20"])
        assert.deepStrictEqual(yield* persistent, ["16", "17", "18", "19", "20"])
        assert.strictEqual(requests(), 20)
        assert.include(JSON.stringify(readTree(directory)), "16")
      }).pipe(sampling(client, mock.url))
    }))

  it.effect("records the model, the finish reason and the tokens of a sample", () =>
    Effect.gen(function*() {
      const mock = yield* makeCounter
      const [drawn] = yield* Effect.flatMap(
        LlmModel.LlmModel,
        (model) => model.draw(new Key.Key(model.identity, "count", []), 0, 1)
      ).pipe(sampling(client, mock.url))
      assert.deepInclude(drawn.metadata, {
        model: "gpt-mock",
        finishReason: "stop",
        inputTokens: 3,
        outputTokens: 1,
        requestSamples: 1
      })
    }))

  it.effect("retries a 500 and a 503", () =>
    Effect.gen(function*() {
      const mock = yield* makeCounter
      mock.nextRequestError(500)
      mock.nextRequestError(503)
      const text = yield* LlmModel.sampleOne("count").pipe(
        sampling(client, mock.url, { retry: Schedule.recurs(2) })
      )
      assert.strictEqual(text, "1")
      assert.lengthOf(mock.getRequests(), 3)
    }))

  it.effect("fails with the Retry-After of a 429", () =>
    Effect.gen(function*() {
      const mock = yield* makeMock
      mock.onMessage("busy", {
        error: { message: "slow down", code: "rate_limit_exceeded" },
        status: 429,
        retryAfter: 400
      })
      const error = yield* LlmModel.sampleOne("busy").pipe(
        sampling(client, mock.url, { retry: Schedule.recurs(2) }),
        Effect.flip
      )
      const { description, retryAfter } = reasonOf(error, "RateLimited")
      assert.include(description, "slow down")
      assert.deepStrictEqual(retryAfter, Duration.seconds(400))
      assert.lengthOf(mock.getRequests(), 1)
    }))

  it.effect("fails with BadKey for a wrong key, and with BadRequest for a prompt the server does not know", () =>
    Effect.gen(function*() {
      const mock = yield* makeCounter
      const wrong = yield* LlmModel.sampleOne("count").pipe(
        sampling(client, mock.url, { apiKey: Redacted.make("sk-wrong") }),
        Effect.flip
      )
      reasonOf(wrong, "BadKey")
      const unknown = yield* Effect.flip(sampling(client, mock.url)(LlmModel.sampleOne("who are you?")))
      assert.include(reasonOf(unknown, "BadRequest").description, "404")
    }))
})
