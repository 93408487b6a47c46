import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, LlmModel, MemoryStore, Persistent, SampleStore } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Context, Effect, Layer, Redacted, Result, Schedule, Stream } from "effect"
import {
  answering,
  callItem,
  messageItem,
  numberedResponses,
  outputText,
  reasoningItem,
  respond,
  responseOf,
  textPart
} from "./support/responses.ts"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, message, numbered, upstreams } from "./support/upstream.ts"

/** An upstream with both of OpenAI's protocols. */
const makeBoth = Effect.gen(function*() {
  const [chat, responses] = [numbered(), numberedResponses()]
  return yield* makeUpstream((response, received, index) =>
    (received.path.endsWith("/responses") ? responses : chat)(response, received, index)
  )
})

describe("responses", () => {
  it.live("replays the same sample, with equal bodies cold and warm", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedResponses())
      const server = yield* makeServer(upstreams(upstream.url))
      const cold = yield* respond(server, "", { input: "p" })
      const warm = yield* respond(server, "", { input: "p" })
      assert.strictEqual(cold.status, 200)
      assert.strictEqual(warm.text, cold.text)
      assert.strictEqual(outputText(cold.json), "sample 0")
      assert.deepInclude(cold.json, { object: "response", status: "completed", created_at: 1_700_000_000, error: null })
      assert.strictEqual(cold.json.usage.input_tokens_details.cached_tokens, 2)
      assert.strictEqual(cold.headers["cache-status"], "llm-cache; fwd=miss; stored")
      assert.strictEqual(warm.headers["cache-status"], "llm-cache; hit")
      assert.strictEqual(upstream.received.length, 1)
      assert.deepStrictEqual(upstream.received[0]!.body, { model: "m", input: "p" })
    }))

  it.live("keeps what an answer has beside its text", () =>
    Effect.gen(function*() {
      const annotation = { type: "url_citation", start_index: 0, end_index: 1, url: "http://a", title: "a" }
      const logprobs = [{ token: "t", logprob: -0.1, bytes: [116], top_logprobs: [] }]
      const answers: ReadonlyArray<[output: ReadonlyArray<object>, fields?: object]> = [
        [[callItem("f", ""), callItem("g", "{\"x\":null}")]],
        [[messageItem({ type: "refusal", refusal: "No." })]],
        [[reasoningItem("Hmm.", "So."), messageItem(textPart("t", { annotations: [annotation], logprobs }))]],
        [[messageItem("a", "b"), messageItem("c")]],
        [[{ id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "q" } }]],
        [[{ id: "new_1", type: "something_new", field: [1] }, messageItem("")]],
        [[], { status: "incomplete", incomplete_details: { reason: "content_filter" } }],
        [[messageItem("half")], { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }],
        [[messageItem("half")], { status: "incomplete", incomplete_details: { reason: "something_new" } }],
        [[messageItem("t")], { service_tier: "flex", reasoning: { effort: "high", summary: null } }]
      ]
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      for (const [i, [output, fields]] of answers.entries()) {
        const whole = responseOf(output, fields)
        upstream.reply = (response) => json(response, whole)
        const cold = yield* respond(server, "", { input: `p${i}`, tools: [{ type: "web_search" }] })
        const warm = yield* respond(server, "", { input: `p${i}`, tools: [{ type: "web_search" }] })
        assert.strictEqual(warm.text, cold.text)
        const { store: _, tools: __, ...others } = whole
        assert.deepInclude(warm.json, others)
        assert.deepStrictEqual(warm.json.tools, [{ type: "web_search" }])
      }
      assert.strictEqual(upstream.received.length, answers.length)
    }))

  it.live("keeps why the model stopped, in one word for all protocols", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const store = Context.get(yield* Layer.build(MemoryStore.layer), SampleStore.SampleStore)
      const server = yield* makeServer(upstreams(upstream.url), Layer.succeed(SampleStore.SampleStore, store))
      const incomplete = (reason?: string) => ({ status: "incomplete", incomplete_details: reason && { reason } })
      const answers: ReadonlyArray<[finishReason: string, output: ReadonlyArray<object>, fields?: object]> = [
        ["stop", [messageItem("t")]],
        ["tool_calls", [messageItem("t"), callItem("f", "{}")]],
        ["tool_calls", [{ id: "ctc_1", type: "custom_tool_call", call_id: "c", name: "f", input: "x" }]],
        ["length", [messageItem("t")], incomplete("max_output_tokens")],
        ["content_filter", [], incomplete("content_filter")],
        ["incomplete", [], incomplete()]
      ]
      for (const [i, [, output, fields]] of answers.entries()) {
        upstream.reply = answering(output, fields)
        assert.strictEqual((yield* respond(server, "", { input: `${i}` })).status, 200)
      }
      const listed = yield* Stream.runCollect(store.keys())
      for (const one of listed) {
        const { key } = Result.getOrThrow(one)
        const sample = yield* store.get(key, 0)
        assert.strictEqual(sample!.metadata.finishReason, answers[Number(key.prompt)]![0])
      }
      assert.strictEqual(listed.length, answers.length)
    }))

  it.live("tells each request its own fields that change no sample", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(answering([messageItem("t")], { metadata: { a: "first" }, user: "first" }))
      const server = yield* makeServer(upstreams(upstream.url))
      yield* respond(server, "", { input: "p", instructions: "s", metadata: { a: "first" }, user: "first" })
      const { json: warm } = yield* respond(server, "", { input: "p", instructions: "s", metadata: { a: "second" } })
      assert.deepStrictEqual(warm.metadata, { a: "second" })
      assert.strictEqual(warm.instructions, "s")
      assert.isNull(warm.user)
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("has runs, attempts and forks", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedResponses())
      const server = yield* makeServer(upstreams(upstream.url))
      const text = (place: string) => Effect.map(respond(server, place, { input: "p" }), ({ json }) => outputText(json))
      assert.strictEqual(yield* text("/run/a/independent"), "sample 0")
      assert.strictEqual(yield* text("/run/a/independent"), "sample 1")
      assert.strictEqual(yield* text("/run/a/independent/repeatable/1"), "sample 2")
      assert.strictEqual(yield* text("/run/a/independent/repeatable/1"), "sample 2")
      assert.strictEqual(yield* text("/run/b/independent"), "sample 0")
      assert.strictEqual(yield* text("/fork/f"), "sample 3")
      assert.strictEqual(yield* text("/replication/fork/f"), "sample 3")
      assert.strictEqual(yield* text(""), "sample 0")
      assert.strictEqual(upstream.received.length, 4)
    }))

  it.live("are samples of the library and of chat completions, and the other way round", () =>
    Effect.gen(function*() {
      const upstream = yield* makeBoth
      const directory = yield* makeDirectory
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(directory))
      const library = (prompt: string, options: object) =>
        LlmModel.sampleOne(prompt).pipe(
          Effect.provide(Persistent.layer({ directory })),
          Effect.provide(OpenAiCompatible.layer({
            baseUrl: upstream.url,
            apiKey: Redacted.make("none"),
            model: "m",
            ...options
          })),
          Effect.provide(NodeHttpClient.layerUndici)
        )
      const part = (content: string) => [{ type: "input_text", text: content }]
      const variants: ReadonlyArray<[options: object, chat: object, forms: ReadonlyArray<(p: string) => object>]> = [
        [{}, {}, [
          (input) => ({ input }),
          (p) => ({ input: user(p) }),
          (p) => ({ input: [{ type: "message", role: "user", content: part(p), status: null }], include: null })
        ]],
        [{ system: "s", temperature: 0.5, parameters: { top_p: 0.5 } }, { temperature: 0.5, top_p: 0.5 }, [
          (input) => ({ input, instructions: "s", temperature: 0.5, top_p: 0.5 }),
          (p) => ({ input: [{ role: "system", content: "s" }, ...user(p)], temperature: 0.5, top_p: 0.5 }),
          (p) => ({
            input: [{ role: "system", content: part("s") }, { role: "user", content: part(p) }],
            temperature: 0.5,
            top_p: 0.5
          })
        ]]
      ]
      for (const [options, chat, forms] of variants) {
        for (const first of ["library", "chat", "responses"]) {
          const p = `${first} ${forms.length} ${JSON.stringify(chat)}`
          const messages = [...("system" in options ? [{ role: "system", content: "s" }] : []), ...user(p)]
          const before = upstream.received.length
          const asked = {
            library: library(p, options),
            chat: Effect.map(server.chat("", { ...chat, messages }), ({ json }) => json.choices[0].message.content),
            responses: Effect.map(
              Effect.forEach(forms, (form) => respond(server, "", form(p))),
              (answers) => {
                const texts = new Set(answers.map(({ json }) => outputText(json)))
                assert.strictEqual(texts.size, 1)
                return [...texts][0]
              }
            )
          }
          const one = yield* asked[first as keyof typeof asked]
          for (const other of Object.values(asked)) assert.strictEqual(yield* other, one)
          assert.strictEqual(upstream.received.length, before + 1)
        }
      }
    }))

  it.live("tell why the model stopped in the words of each protocol, with reasoning and refusals", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const cases: ReadonlyArray<[chat: object, finish: string, output: ReadonlyArray<object>, fields: object]> = [
        [{ content: "t", reasoning_content: "Hmm." }, "stop", [reasoningItem("Hmm."), messageItem("t")], {}],
        [{ content: null, refusal: "No." }, "stop", [messageItem({ type: "refusal", refusal: "No." })], {}],
        [{ content: "half" }, "length", [messageItem("half")], {
          status: "incomplete",
          incomplete_details: { reason: "max_output_tokens" }
        }],
        [{ content: "half" }, "content_filter", [messageItem("half")], {
          status: "incomplete",
          incomplete_details: { reason: "content_filter" }
        }]
      ]
      for (const [i, [fields, finish_reason, output, more]] of cases.entries()) {
        upstream.reply = message(fields, { finish_reason })
        yield* server.chat("", { messages: user(`chat ${i}`) })
        const { json: response } = yield* respond(server, "", { input: `chat ${i}` })
        assert.deepInclude(response, { status: "completed", incomplete_details: null, ...more })
        // Their ids are made of the answer's own.
        const withoutId = ({ encrypted_content: _, id, ...item }: any) => {
          assert.include(id, response.id)
          return item
        }
        assert.deepStrictEqual(
          response.output.map(withoutId),
          output.map((item) => withoutId({ ...item, id: response.id }))
        )
        assert.strictEqual(response.usage.total_tokens, 10)

        upstream.reply = answering(output, more)
        yield* respond(server, "", { input: `response ${i}` })
        const { json: chat } = yield* server.chat("", { messages: user(`response ${i}`) })
        assert.deepInclude(chat.choices[0].message, fields)
        assert.strictEqual(chat.choices[0].finish_reason, finish_reason)
        assert.deepInclude(chat.usage, { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 })
      }
      assert.strictEqual(upstream.received.length, 2 * cases.length)
    }))
})

describe("keys of responses", () => {
  const keysOf = (bodies: ReadonlyArray<object | string>) =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(answering([messageItem("x")]))
      const store = Context.get(yield* Layer.build(MemoryStore.layer), SampleStore.SampleStore)
      const server = yield* makeServer(upstreams(upstream.url), Layer.succeed(SampleStore.SampleStore, store))
      for (const body of bodies) {
        const { status, text } = typeof body === "string"
          ? yield* server.send("/v1/responses", { body })
          : yield* respond(server, "", body)
        assert.strictEqual(status, 200, text)
      }
      const listed = yield* Stream.runCollect(store.keys())
      return { keys: listed.map((one) => Result.getOrThrow(one).key), sent: upstream.received }
    })

  const areKeys = (count: number, ...bodies: ReadonlyArray<object | string>) =>
    Effect.map(keysOf(bodies), ({ keys, sent }) => {
      const told = keys.map(({ identity, prompt }) => `${identity.id} ${prompt}`).join("\n")
      assert.strictEqual(keys.length, count, told)
      assert.strictEqual(sent.length, count)
    })

  it.live("do not have what changes no sample", () =>
    areKeys(
      1,
      { input: "p" },
      { input: "p", stream: true, stream_options: { include_obfuscation: false } },
      {
        input: "p",
        user: "u",
        safety_identifier: "s",
        metadata: { a: "b" },
        store: false,
        service_tier: "flex",
        prompt_cache_key: "k",
        prompt_cache_options: { mode: "explicit" },
        prompt_cache_retention: "24h"
      },
      { input: "p", temperature: null, tools: null, background: null, conversation: null, instructions: null },
      { input: [{ role: "user", content: [{ type: "input_text", text: "p", prompt_cache_breakpoint: {} }] }] }
    ))

  it.live("have every other field, unknown ones too", () => {
    const bodies = [
      { input: "p" },
      { input: "p", temperature: 1 },
      { input: "p", something_new: 1 },
      { input: "p", max_output_tokens: 9 },
      { input: "p", instructions: "s" },
      { input: "p", system: "s" },
      { input: "p", include: ["reasoning.encrypted_content"] },
      { input: "p", previous_response_id: "resp_1" },
      { input: "p", previous_response_id: "resp_2" },
      { input: "p", tools: [{ type: "function", name: "f" }] },
      { input: [{ role: "developer", content: "s" }, ...user("p")] },
      { input: [{ role: "system", content: "t" }, ...user("p")], instructions: "s" },
      { input: [...user("p"), { role: "system", content: "s" }] },
      { input: [{ role: "assistant", content: "p" }] },
      { input: [{ role: "user", content: "p", phase: "x" }] },
      { input: [{ role: "user", content: ["p", "q"].map((text) => ({ type: "input_text", text })) }] },
      { input: [{ role: "user", content: [{ type: "output_text", text: "p" }] }] },
      { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }] },
      { input: user("p"), reasoning: { effort: "high" } },
      { prompt: { id: "pmpt_1" } }
    ]
    return areKeys(bodies.length, ...bodies)
  })

  const turn = (id: string, fields: object = {}) => [
    ...user("p"),
    { type: "reasoning", id: `rs_${id}`, summary: [], encrypted_content: "x" },
    { type: "function_call", id: `fc_${id}`, call_id: `call_${id}`, name: "f", arguments: "{\"a\":null}", ...fields },
    { type: "function_call_output", call_id: `call_${id}`, output: "r" }
  ]

  it.live("are equal for echoed items with other ids, and with nulls", () =>
    areKeys(
      1,
      { input: turn("1") },
      { input: turn("2") },
      { input: turn("3", { status: null, parsed_arguments: null }) }
    ))

  it.live("tell calls apart whose ids are swapped", () => {
    const two = (...outputs: ReadonlyArray<string>) => [
      ...user("p"),
      ...["a", "b"].map((id) => ({ type: "function_call", call_id: id, name: id, arguments: "{}" })),
      ...outputs.map((call_id, i) => ({ type: "function_call_output", call_id, output: `${i}` }))
    ]
    return areKeys(2, { input: two("a", "b") }, { input: two("b", "a") })
  })

  it.live("have the ids of what only the vendor knows", () => {
    const output = (call_id: string) => [{ type: "function_call_output", call_id, output: "r" }]
    const bodies = [
      { input: [...user("p"), { type: "item_reference", id: "msg_1" }] },
      { input: [...user("p"), { type: "item_reference", id: "msg_2" }] },
      { input: [...user("p"), { type: "reasoning", id: "rs_1", summary: [] }] },
      { input: [...user("p"), { type: "reasoning", id: "rs_2", summary: [] }] },
      { input: [...user("p"), { type: "web_search_call", id: "ws_1" }] },
      { input: [...user("p"), { type: "web_search_call", id: "ws_2" }] },
      { input: output("call_1"), previous_response_id: "resp_1" },
      { input: output("call_2"), previous_response_id: "resp_1" }
    ]
    return areKeys(bodies.length, ...bodies)
  })

  it.live("have no keys of tools, which go on to the upstream", () =>
    Effect.gen(function*() {
      const tools = (secret: string) => [
        {
          type: "mcp",
          server_label: "a",
          server_url: "https://a",
          authorization: secret,
          headers: { "x-key": secret }
        },
        { type: "shell", environment: { network_policy: { type: "allowlist", domain_secrets: [{ value: secret }] } } },
        { type: "function", name: "f", parameters: { properties: { headers: { const: "h" } } } }
      ]
      const { keys, sent } = yield* keysOf([{ input: "p", tools: tools("first-secret") }, {
        input: [...user("p"), { type: "additional_tools", tools: tools("first-secret") }]
      }, { input: "p", tools: tools("second-secret") }])
      assert.strictEqual(keys.length, 2)
      assert.notInclude(JSON.stringify(keys.map(({ identity, prompt }) => [identity.id, prompt])), "secret")
      assert.include(keys[0]!.identity.parameters, "\"headers\":{\"const\":\"h\"}")
      assert.include(sent[0]!.text, "first-secret")
    }))

  it.live("are whole where a request is more than a text for a text", () =>
    Effect.gen(function*() {
      const more = {
        context_management: [{ type: "compaction" }],
        include: ["message.output_text.logprobs"],
        max_tool_calls: 1,
        moderation: {},
        parallel_tool_calls: false,
        system: "s",
        tool_choice: "none",
        top_logprobs: 1
      }
      const { keys } = yield* keysOf(Object.entries(more).map(([name, value]) => ({ input: "p", [name]: value })))
      assert.strictEqual(keys.length, Object.keys(more).length)
      for (const { identity, prompt } of keys) {
        assert.strictEqual(JSON.parse(identity.parameters)["llm-cache"], "responses")
        assert.deepStrictEqual(JSON.parse(prompt), user("p"))
      }
    }))

  it.live("have the answer before and a template in the prompt, so that a model has one identity in all turns", () =>
    Effect.gen(function*() {
      const { keys } = yield* keysOf([
        { input: "p", previous_response_id: "resp_1" },
        { input: "p", previous_response_id: "resp_2" },
        { input: "p", prompt: { id: "pmpt_1", variables: { id: "a" } } },
        { prompt: { id: "pmpt_1", variables: { id: "b" } } }
      ])
      assert.strictEqual(new Set(keys.map(({ identity }) => identity.id)).size, 1)
      assert.strictEqual(new Set(keys.map(({ prompt }) => prompt)).size, 4)
      const { keys: [plain] } = yield* keysOf([{ input: "p", previous_response_id: "resp_1" }])
      assert.deepStrictEqual(JSON.parse(plain!.prompt), [{ previous_response_id: "resp_1" }, ...user("p")])
    }))

  it.live("of a text that is the JSON of items are not those of the items", () =>
    Effect.gen(function*() {
      const { keys } = yield* keysOf([{ input: turn("1") }])
      assert.strictEqual(JSON.parse(keys[0]!.identity.parameters)["llm-cache"], "responses")
      assert.deepStrictEqual(JSON.parse(keys[0]!.prompt)[0], { role: "user", content: "p" })
      yield* areKeys(2, { input: turn("1") }, { input: keys[0]!.prompt })
    }))

  it.live("keep numbers beyond 2^53, and the order of the properties of a schema", () =>
    Effect.gen(function*() {
      const seeded = (seed: string) => `{"model":"m","input":"p","seed":${seed}}`
      const { keys, sent } = yield* keysOf([seeded("9007199254740993"), seeded("9007199254740992")])
      assert.strictEqual(keys.length, 2)
      assert.include(sent[0]!.text, "\"seed\":9007199254740993")
      const tool = (properties: string) =>
        `{"model":"m","input":"p","tools":[{"type":"function","name":"f","parameters":{"properties":${properties}}}]}`
      yield* areKeys(2, tool("{\"a\":{},\"b\":{}}"), tool("{\"b\":{},\"a\":{}}"))
    }))
})

describe("a response that fails", () => {
  it.live("is 400 for a request that no model can answer", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedResponses())
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      const bodies: ReadonlyArray<unknown> = [
        "",
        "{",
        "[]",
        {},
        { model: "m" },
        { model: "m", input: [] },
        { model: "m", input: ["p"] },
        { model: "m", input: 1 },
        { model: "", input: "p" },
        { model: "../../m", input: "p" },
        { model: "m", input: "p", n: 2 },
        { model: "m", input: "p", temperature: "hot" },
        { model: "m", input: "\ud800" },
        { model: "m", input: [...user("\ud800"), ...user("q")] },
        { model: "m", input: "p", "llm-cache": "responses" }
      ]
      for (const body of bodies) {
        const answer = yield* server.send("/v1/responses", { body })
        assert.strictEqual(answer.status, 400, `${JSON.stringify(body)}: ${answer.text}`)
        assert.isString(answer.json.error.message)
      }
      assert.strictEqual(upstream.received.length, 0)
    }))

  it.live("is 502 where the answer has no sample, and uses up no draw", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const answers = [
        {},
        { output: [], status: "queued" },
        { output: [], status: "in_progress" },
        { output: [messageItem("t")], status: "cancelled" },
        responseOf([], { status: "failed", error: { code: "vector_store_timeout", message: "late" } }),
        { error: { message: "in a success" } }
      ]
      for (const answer of answers) {
        upstream.reply = (response) => json(response, answer)
        const failed = yield* respond(server, "/run/a/independent", { input: "p" })
        assert.strictEqual(failed.status, 502, failed.text)
        assert.isString(failed.json.error.message)
      }
      upstream.reply = numberedResponses()
      assert.strictEqual(outputText((yield* respond(server, "/run/a/independent", { input: "p" })).json), "sample 0")
    }))

  it.live("has the status of its error, and is retried as long as a retry may help", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(1) })
      for (
        const [code, status, requests] of [["rate_limit_exceeded", 429, 2], ["server_error", 500, 2], [
          "invalid_prompt",
          400,
          1
        ]]
      ) {
        upstream.received.length = 0
        upstream.reply = answering([], { status: "failed", error: { code, message: "no" } })
        const failed = yield* respond(server, "", { input: "p" })
        assert.strictEqual(failed.status, status)
        assert.deepStrictEqual(failed.json, { error: { code, message: "no" } })
        assert.strictEqual(upstream.received.length, requests)
      }
    }))

  it.live("is told that its upstream may have no such API, in the upstream's words", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const answers: ReadonlyArray<[status: number, type: string, body: string, isExplained: boolean]> = [
        [404, "text/plain", "404 page not found", true],
        [404, "application/json", "{\"detail\":\"Not Found\"}", true],
        [404, "application/json", "{\"error\":{\"code\":404,\"message\":\"File Not Found\"}}", true],
        [405, "text/html", "<html>", true],
        [404, "application/json", "{\"error\":{\"message\":\"The model `m` does not exist\"}}", false],
        [404, "application/json", "{\"error\":{\"message\":\"no msg_1\",\"type\":\"invalid_request_error\"}}", false],
        [400, "application/json", "{\"error\":{\"message\":\"no\"}}", false]
      ]
      for (const [status, type, body, isExplained] of answers) {
        upstream.reply = (response) => response.writeHead(status, { "content-type": type }).end(body)
        const failed = yield* respond(server, "", { input: "p" })
        assert.strictEqual(failed.status, status)
        if (!isExplained) assert.strictEqual(failed.text, body)
        else {
          assert.deepInclude(failed.json.error, { code: "upstream_error", type: "invalid_request_error" })
          assert.include(failed.json.error.message, "test answers")
          assert.include(failed.json.error.message, JSON.stringify(body))
          assert.include(failed.json.error.message, "/v1/chat/completions")
        }
      }
      assert.strictEqual(upstream.received.length, answers.length)
    }))

  it.live("is 404 for a miss in replication, which no client retries", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedResponses())
      const server = yield* makeServer(upstreams(upstream.url))
      for (const stream of [false, true]) {
        const missed = yield* respond(server, "/replication", { input: "p", stream })
        assert.strictEqual(missed.status, 404)
        assert.strictEqual(missed.headers["x-should-retry"], "false")
        assert.strictEqual(missed.json.error.code, "replication_cache_miss")
      }
      assert.strictEqual(upstream.received.length, 0)
    }))
})
