import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel, type SampleError } from "@llm-cache/core"
import { Duration, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { clients } from "./support/clients.ts"
import { reasonOf, sampling } from "./support/model.ts"
import { protocols } from "./support/protocols.ts"
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
    openAi(400, "This model's maximum prompt length is 131072 but the request contains 150000 tokens."),
    // Anthropic
    openAi(400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length"),
    // vLLM
    openAi(400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    openAi(400, "Please reduce the length of the input messages."),
    // TGI
    json(422, {
      error: "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
      error_type: "validation"
    }),
    json(422, { error: "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20" }),
    // Gemini
    json(400, [{
      error: { code: 400, message: "The input token count is 40000 but model only supports up to 32767." }
    }]),
    // GitHub Models
    openAi(413, "Request body too large for gpt-4o model. Max size: 8000 tokens.", "tokens_limit_reached"),
    // nginx
    text(413, "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<center>nginx</center></html>"),
    // OpenAI, for a request that is larger than the limit of a minute
    openAi(
      429,
      "Request too large for gpt-4. The input or output tokens must be reduced in order to run successfully."
    ),
    // behind OpenRouter
    json(400, {
      error: {
        message: "Provider returned error",
        code: 400,
        metadata: { raw: JSON.stringify({ error: { message: "the context length is 8192" } }), provider_name: "T" }
      }
    })
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
    openAi(451, "blocked by the content filter"),
    // xAI
    json(403, { code: "forbidden", error: "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO" }),
    openAi(400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
    // Moonshot
    openAi(400, "The request was rejected because it was considered high risk"),
    // Gemini, behind OpenRouter
    json(403, { error: { message: "Provider returned error", metadata: { raw: { message: "PROHIBITED_CONTENT" } } } })
  ]

  const empty = [
    openAi(429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"),
    openAi(429, "Quota.", "insufficient_quota"),
    openAi(402, "Insufficient Balance"),
    json(402, {}),
    openAi(400, "Your credit balance is too low to access the Anthropic API.", null, "invalid_request_error"),
    openAi(403, "Your team has either used all available credits or reached its monthly spending limit."),
    openAi(429, "Your account is suspended", null, "exceeded_current_quota_error"),
    openAi(400, "Access denied, please make sure your account is in good standing.", "Arrearage"),
    openAi(500, "用户额度不足", "insufficient_user_quota"),
    json(400, { error: { message: "e", metadata: { raw: "{\"message\":\"\\u4f59\\u989d\\u4e0d\\u8db3\"}" } } }),
    openAi(200, "This request requires more credits, or fewer max_tokens.", "402")
  ]
  it.effect("is QuotaExhausted for an empty account, which is not retried", () =>
    Effect.gen(function*() {
      for (const reply of empty) {
        const { error } = yield* failing(reply)
        const { description } = reasonOf(error, "QuotaExhausted")
        assert.include(description, "add credit")
        assert.isFalse(error.isRetryable)
      }
    }))

  it.effect("is RateLimited for Google's quota per minute, with its RetryInfo", () =>
    Effect.gen(function*() {
      const { error } = yield* failing(json(429, [{
        error: {
          code: 429,
          message: "You exceeded your current quota, please check your plan and billing details.",
          status: "RESOURCE_EXHAUSTED",
          details: [
            { "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [] },
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.5s" }
          ]
        }
      }]))
      assert.deepStrictEqual(reasonOf(error, "RateLimited").retryAfter, Duration.millis(34_500))
      assert.include(error.message, "check your plan and billing details. (429, RESOURCE_EXHAUSTED)")
    }))

  const wrongKeys = [
    json(400, [{
      error: {
        code: 400,
        message: "API key not valid. Please pass a valid API key.",
        status: "INVALID_ARGUMENT",
        details: [{ reason: "API_KEY_INVALID" }]
      }
    }]),
    json(400, { code: "Client specified an invalid argument", error: "Incorrect API key provided: xa***xx." }),
    json(400, { error: { message: "Provider returned error", details: [{ reason: "API_KEY_INVALID" }] } })
  ]
  it.effect("is BadKey for a wrong key, also with a 400", () =>
    Effect.gen(function*() {
      for (const reply of wrongKeys) {
        assert.include(reasonOf((yield* failing(reply)).error, "BadKey").description, "`apiKey`")
      }
    }))

  it.effect("is judged by the whole body, before it is cut or redacted", () =>
    Effect.gen(function*() {
      const far = "x".repeat(5000)
      reasonOf((yield* failing(openAi(400, `${far} maximum context length`))).error, "ContextTooLong")
      reasonOf((yield* failing(openAi(400, `${far} content filter`))).error, "ContentPolicy")
      reasonOf((yield* failing(openAi(429, far, "insufficient_quota"))).error, "QuotaExhausted")
      reasonOf((yield* failing(text(400, `${far} maximum context length`))).error, "ContextTooLong")
      const server = yield* makeServer(openAi(400, "the maximum context length is 8"))
      const draw = LlmModel.sampleOne("p").pipe(
        sampling(FetchHttpClient.layer, server.url, { apiKey: Redacted.make("context length") })
      )
      const error = yield* Effect.flip(draw)
      assert.include(reasonOf(error, "ContextTooLong").description, "the maximum <redacted> is 8")
    }))

  it.effect("is not judged by a request that the server sends back", () =>
    Effect.gen(function*() {
      const echo = json(422, {
        detail: [{ msg: "field required", input: { messages: [{ content: "What is a content policy?" }] } }]
      })
      reasonOf((yield* failing(echo)).error, "BadRequest")
    }))

  it.effect("quotes the provider behind OpenRouter", () =>
    Effect.gen(function*() {
      for (
        const raw of ["{\"error\":{\"message\":\"no such voice\"}}", "no such voice", { message: "no such voice" }]
      ) {
        const { error } = yield* failing(
          json(400, { error: { message: "Provider returned error", metadata: { raw } } })
        )
        assert.include(error.message, "Provider returned error: no such voice")
      }
    }))

  it.effect("has words of its own for a method, a proxy, the law and a country", () =>
    Effect.gen(function*() {
      const words = [
        [405, "path"],
        [407, "proxy"],
        [451, "legal reasons"],
        [501, "cannot answer"],
        [505, "cannot answer"]
      ] as const
      // `fetch` hides a 407 in a failure without a cause.
      for (const [status, word] of words) {
        const { error } = yield* failing(openAi(status, "no"), 1, NodeHttpClient.layerUndici)
        assert.include(reasonOf(error, "BadRequest").description, word)
      }
      const countries = [
        openAi(403, "Country, region, or territory not supported", "unsupported_country_region_territory"),
        openAi(400, "User location is not supported for the API use.")
      ]
      for (const reply of countries) {
        assert.include(reasonOf((yield* failing(reply)).error, "BadRequest").description, "another region")
      }
    }))

  const inBody: ReadonlyArray<[tag: SampleError.ProviderErrorReason["_tag"], error: unknown]> = [
    ["ServerFault", { code: 502, message: "gone" }],
    ["ServerFault", { code: "503", message: "gone" }],
    ["ServerFault", { status: "UNAVAILABLE", message: "busy" }],
    ["ServerFault", { type: "overloaded_error", message: "busy" }],
    ["RateLimited", { code: 429, message: "slow down" }],
    ["RateLimited", { code: "rate_limit_exceeded", message: "slow down" }],
    ["Timeout", { code: 408, message: "late" }],
    ["BadKey", { code: 401, message: "who?" }],
    ["BadKey", { code: "invalid_api_key", message: "who?" }],
    ["BadRequest", { code: 404, message: "no such model" }],
    ["BadRequest", { code: 400, message: "no such option" }],
    ["ServerFault", { code: 599, message: "gone" }],
    ["QuotaExhausted", { code: "insufficient_quota", message: "empty" }],
    ["ContentPolicy", { code: 400, message: "content filter" }],
    ["ContextTooLong", "the prompt is too long"],
    ["UnusableResponse", { code: 7, message: "odd" }]
  ]
  it.effect.each(inBody)("with status 200 counts like the status in it: %s", ([tag, error]) =>
    Effect.gen(function*() {
      const failed = yield* failing(json(200, { error, choices: [{ message: { content: "insufficient_quota" } }] }))
      reasonOf(failed.error, tag)
    }))

  it.effect("of a gateway with status 200 and no `error` counts like the status in it, for every protocol", () =>
    Effect.gen(function*() {
      const answers: ReadonlyArray<[tag: SampleError.ProviderErrorReason["_tag"], body: object]> = [
        ["ServerFault", { code: 502, message: "gone" }],
        ["BadRequest", { code: 404, msg: "NOT_FOUND", success: false }],
        ["QuotaExhausted", { code: 1113, msg: "余额不足" }],
        ["ContentPolicy", { promptFeedback: { blockReason: "OTHER" } }],
        ["UnusableResponse", { object: "list", data: [] }]
      ]
      for (const [, protocol] of protocols) {
        for (const [tag, body] of answers) {
          const server = yield* makeServer(json(200, body))
          const error = yield* LlmModel.sampleOne("p").pipe(
            Effect.provide(protocol.layer(server.url)),
            Effect.provide(FetchHttpClient.layer),
            Effect.flip
          )
          reasonOf(error, tag)
        }
      }
    }))

  it.effect("is not ContentPolicy for a malformed setting of it", () =>
    Effect.gen(function*() {
      reasonOf((yield* failing(openAi(400, "Invalid value at 'safety_settings[0].category'"))).error, "BadRequest")
    }))

  it.effect("is safe for a terminal", () =>
    Effect.gen(function*() {
      const odd = "a\u001b[2J\u0007b\u009bc\u202ed\u2066e\u200ff\u0000"
      for (const reply of [openAi(400, odd, odd, odd), text(400, odd), text(200, `<p>${odd}`)]) {
        const { error } = yield* failing(reply)
        assert.match(error.message, /^[\x20-\x7e…]*$/)
        assert.include(error.message, "a\\u001b[2J\\u0007b")
      }
      const server = yield* makeServer(json(200, {
        id: odd,
        model: odd,
        choices: [{ message: { content: odd }, finish_reason: odd }]
      }))
      const [{ metadata, text: sample }] = yield* sampling(FetchHttpClient.layer, server.url)(
        Effect.flatMap(LlmModel.LlmModel, (model) => model.draw(new Key.Key(model.identity, "p", []), 0, 1))
      )
      assert.strictEqual(sample, odd)
      for (const name of [metadata.finishReason, metadata.model, metadata.responseId]) {
        assert.strictEqual(name, "a\\u001b[2J\\u0007b\\u009bc\\u202ed\\u2066e\\u200ff\\u0000")
      }
    }))

  it.effect("has no `<redacted>` for a key shorter than eight characters", () =>
    Effect.gen(function*() {
      const messageWith = (key: string) =>
        Effect.gen(function*() {
          const server = yield* makeServer(openAi(400, `none of ${key}`))
          const error = yield* LlmModel.sampleOne("p").pipe(
            sampling(FetchHttpClient.layer, server.url, { apiKey: Redacted.make(key) }),
            Effect.flip
          )
          return error.message
        })
      for (const key of ["n", "none", "1234567"]) assert.include(yield* messageWith(key), `none of ${key}`)
      assert.include(yield* messageWith("12345678"), "none of <redacted>")
    }))

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

  it.effect("may have a unit or a fraction, and comes with a 403, too", () =>
    Effect.gen(function*() {
      const delays = [["2.5", 2500], ["2s", 2000], ["250ms", 250], ["1m30s", 90_000], ["0.5h", 1_800_000]] as const
      for (const [value, millis] of delays) assert.strictEqual(yield* retryAfter(429, value), millis)
      assert.strictEqual(yield* retryAfter(403, "3"), 3000)
      reasonOf((yield* failing(json(403, {}, { "retry-after": "3" }))).error, "RateLimited")
      const refused = json(403, { error: { message: "blocked by the content filter" } }, { "retry-after": "3" })
      reasonOf((yield* failing(refused)).error, "ContentPolicy")
    }))

  it.effect("in milliseconds comes first", () =>
    Effect.gen(function*() {
      const { error } = yield* failing(json(429, {}, { "retry-after": "2", "retry-after-ms": "1500.2" }))
      assert.deepStrictEqual(error.retryAfter, Duration.millis(1501))
      const odd = yield* failing(json(429, {}, { "retry-after": "2", "retry-after-ms": "soon" }))
      assert.deepStrictEqual(odd.error.retryAfter, Duration.seconds(2))
    }))

  it.effect("counts as absent if it is neither a delay nor a date", () =>
    Effect.gen(function*() {
      for (const value of ["soon", "-1", "2 s", "s", "1.5.5", ""]) {
        assert.strictEqual(yield* retryAfter(429, value), undefined)
      }
    }))
})
