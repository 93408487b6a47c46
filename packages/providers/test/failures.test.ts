import { assert, describe, it } from "@effect/vitest"
import { LlmModel, type SampleError } from "@llm-cache/core"
import { Duration, Effect, Layer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { clients } from "./support/clients.ts"
import { reasonOf, sampling } from "./support/model.ts"
import { cutInBody, json, makeServer, type Reply, text } from "./support/server.ts"

const failing = (reply: Reply, n = 1, client = FetchHttpClient.layer) =>
  Effect.gen(function*() {
    const server = yield* makeServer(reply)
    const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleMany("p", n)))
    return { server, error: error as SampleError.ProviderError }
  })

const openAi = (status: number, message: string, code: string | null = null, type = "invalid_request_error") =>
  json(status, { error: { message, type, param: null, code } })

describe("an error answer", () => {
  const statuses: ReadonlyArray<[number, SampleError.ProviderErrorReason["_tag"], isRetryable: boolean]> = [
    [400, "BadRequest", false],
    [401, "BadKey", false],
    [402, "QuotaExhausted", false],
    [403, "BadKey", false],
    [404, "BadRequest", false],
    [405, "BadRequest", false],
    [408, "Timeout", true],
    [409, "ServerFault", true],
    [413, "BadRequest", false],
    [418, "BadRequest", false],
    [422, "BadRequest", false],
    [424, "ServerFault", true],
    [425, "ServerFault", true],
    [429, "RateLimited", true],
    [451, "BadRequest", false],
    [498, "ServerFault", true],
    [500, "ServerFault", true],
    [501, "BadRequest", false],
    [502, "ServerFault", true],
    [503, "ServerFault", true],
    [504, "ServerFault", true],
    [505, "BadRequest", false],
    [529, "ServerFault", true]
  ]
  it.effect.each(statuses)("of status %d fails with %s", ([status, tag, isRetryable]) =>
    Effect.gen(function*() {
      for (const [, client] of clients) {
        const { error } = yield* failing(openAi(status, "no such luck", "c1"), 1, client)
        const reason = reasonOf(error, tag)
        assert.strictEqual(reason.status, status)
        assert.strictEqual(error.isRetryable, isRetryable)
        assert.include(error.message, String(status))
        assert.include(error.message, "The server says: no such luck (c1, invalid_request_error)")
      }
    }))

  it.effect("fails with the same reason if the client filters statuses itself", () =>
    Effect.gen(function*() {
      const filtered = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, HttpClient.filterStatusOk))
        .pipe(Layer.provide(FetchHttpClient.layer))
      const { error } = yield* failing(openAi(401, "no such luck"), 1, filtered)
      assert.include(reasonOf(error, "BadKey").description, "no such luck")
    }))

  it.effect("fails with the same reason if its body is cut", () =>
    Effect.gen(function*() {
      for (const [, client] of clients) {
        const { error } = yield* failing(cutInBody(401), 1, client)
        reasonOf(error, "BadKey")
      }
    }))
})

describe("an error message", () => {
  const bodies: ReadonlyArray<[says: string, reply: Reply]> = [
    ["message alone (400)", json(400, { message: "message alone", code: 400 })],
    ["vLLM of old (BadRequestError)", json(400, { object: "error", message: "vLLM of old", type: "BadRequestError" })],
    ["error alone", json(400, { error: "error alone" })],
    ["detail of FastAPI", json(400, { detail: "detail of FastAPI" })],
    ["{\"detail\":[{\"msg\":\"field required\"}]}", json(400, { detail: [{ msg: "field required" }] })],
    ["<h1>400</h1> nginx", text(400, "<h1>400</h1>\n\n  nginx")],
    ["nothing", text(400, "")]
  ]
  it.effect.each(bodies)("quotes the body: %s", ([says, reply]) =>
    Effect.gen(function*() {
      const { error } = yield* failing(reply)
      assert.isTrue(error.message.endsWith(`The server says${says === "nothing" ? "" : ":"} ${says}`), error.message)
    }))

  it.effect("quotes only a few hundred characters of a body", () =>
    Effect.gen(function*() {
      const { error } = yield* failing(openAi(400, "x".repeat(10_000), "y".repeat(10_000)))
      assert.isBelow(error.message.length, 1000)
    }))

  const long = [
    openAi(400, "This model's maximum context length is 8192 tokens.", "context_length_exceeded"),
    openAi(400, "too many", "context_length_exceeded"),
    openAi(400, "the request exceeds the available context size", null, "exceed_context_size_error"),
    openAi(400, "The prompt is too long: 140000, model maximum context length: 131071"),
    openAi(400, "prompt is too long: 210000 tokens > 200000 maximum"),
    openAi(413, "input is too long for requested model"),
    openAi(422, "This model's maximum context length is 4096 tokens."),
    json(400, { message: "The input token count (9) exceeds the maximum number of tokens allowed (8)." }),
    openAi(400, "Range of input length should be [1, 30720]", "InvalidParameter"),
    openAi(400, "This model's maximum prompt length is 131072 but the request contains 150000 tokens.")
  ]
  it.effect("is ContextTooLong if the body mentions the context's length", () =>
    Effect.gen(function*() {
      for (const reply of long) reasonOf((yield* failing(reply)).error, "ContextTooLong")
    }))

  const refused = [
    openAi(
      400,
      "The response was filtered due to the prompt triggering our content management policy.",
      "content_filter"
    ),
    openAi(400, "filtered", "content_filter"),
    openAi(400, "Your request was rejected.", "content_policy_violation"),
    openAi(400, "Content Exists Risk"),
    openAi(422, "Input data may contain inappropriate content.", "data_inspection_failed"),
    openAi(403, "openai/gpt requires moderation on OpenAI. Your input was flagged for \"violence\".", "403"),
    openAi(451, "blocked by the content filter")
  ]
  it.effect("is ContentPolicy if the body mentions a content filter or policy", () =>
    Effect.gen(function*() {
      for (const reply of refused) reasonOf((yield* failing(reply)).error, "ContentPolicy")
    }))

  it.effect("is neither for a body that only looks similar", () =>
    Effect.gen(function*() {
      reasonOf((yield* failing(openAi(400, "max_tokens is too large: 9000"))).error, "BadRequest")
      reasonOf((yield* failing(openAi(400, "unknown parameter: `context`"))).error, "BadRequest")
      reasonOf((yield* failing(openAi(400, "logprobs is not supported for this content type"))).error, "BadRequest")
      reasonOf(
        (yield* failing(openAi(429, "too many tokens per minute", "context_length_exceeded"))).error,
        "RateLimited"
      )
      reasonOf((yield* failing(openAi(500, "content filter is down", "content_filter"))).error, "ServerFault")
    }))
})

describe("the advice in an error message", () => {
  it.effect("is to check `baseUrl` and `model` after a 404", () =>
    Effect.gen(function*() {
      const { error, server } = yield* failing(openAi(404, "no such thing"))
      assert.include(error.message, `${server.url}/v1/chat/completions`)
      assert.include(error.message, "gpt-mock")
      assert.include(error.message, "`baseUrl` and `model`")
    }))

  it.effect("is to set `maxBatch` if the provider may give only one sample per request", () =>
    Effect.gen(function*() {
      for (const status of [400, 422]) {
        assert.include((yield* failing(openAi(status, "n must be 1"), 5)).error.message, "`maxBatch: 1`")
        assert.notInclude((yield* failing(openAi(status, "n must be 1"), 1)).error.message, "maxBatch")
      }
      assert.notInclude((yield* failing(openAi(404, "none"), 5)).error.message, "maxBatch")
    }))

  it.effect("is to check the key after a 401", () =>
    Effect.gen(function*() {
      const { error } = yield* failing(openAi(401, "none"))
      assert.include(error.message, "check `apiKey`, and that its account may use gpt-mock")
    }))

  it.effect("stands beside the names of the server and the model", () =>
    Effect.gen(function*() {
      const { error, server } = yield* failing(openAi(401, "none"))
      assert.strictEqual(error.provider, `${new URL(server.url).host} (gpt-mock)`)
    }))
})

describe("Retry-After", () => {
  const retryAfter = (status: number, value: string) =>
    Effect.gen(function*() {
      const { error } = yield* failing(json(status, {}, { "retry-after": value }))
      return error.retryAfter === undefined ? undefined : Duration.toMillis(error.retryAfter)
    })

  it.effect("is in the error, given in seconds or as a date", () =>
    Effect.gen(function*() {
      // the clock of a test starts at 1970
      yield* TestClock.adjust("20 seconds")
      for (const status of [408, 409, 425, 429, 500, 503]) {
        assert.strictEqual(yield* retryAfter(status, "20"), 20_000)
        assert.strictEqual(yield* retryAfter(status, "Thu, 01 Jan 1970 00:01:00 GMT"), 40_000)
        assert.strictEqual(yield* retryAfter(status, "Thu, 01 Jan 1970 00:00:00 GMT"), 0)
      }
    }))

  it.effect("counts as absent if it is neither a delay nor a date", () =>
    Effect.gen(function*() {
      for (const value of ["soon", "-1", "2 s", "s", "1.5.5", ""]) {
        assert.strictEqual(yield* retryAfter(429, value), undefined)
      }
    }))
})
