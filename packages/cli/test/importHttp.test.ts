import { assert, describe, it } from "@effect/vitest"
import * as DirectoryStore from "@llm-cache/core/DirectoryStore"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import * as Persistent from "@llm-cache/core/Persistent"
import * as Anthropic from "@llm-cache/providers/Anthropic"
import * as Vendors from "@llm-cache/providers/Vendors"
import { Effect, Layer, Redacted, Result, Stream } from "effect"
import { HttpClient } from "effect/http"
import * as Fs from "node:fs"
import * as Zlib from "node:zlib"
import { chat, completion, contents, drawn, file, folder, imported, key } from "./support/exchange.ts"

const secret = "sk-secret-of-a-header-0123456789"

const harEntry = (request: unknown, answer: unknown, more: object = {}) => ({
  startedDateTime: "2026-11-01T10:00:00.000Z",
  time: 250,
  request: {
    method: "POST",
    url: `https://api.openai.com/v1/chat/completions?key=${secret}`,
    headers: [{ name: "Authorization", value: `Bearer ${secret}` }],
    cookies: [{ name: "session", value: secret }],
    postData: { mimeType: "application/json", text: typeof request === "string" ? request : JSON.stringify(request) }
  },
  response: {
    status: 200,
    headers: [{ name: "set-cookie", value: secret }],
    content: { mimeType: "application/json", text: typeof answer === "string" ? answer : JSON.stringify(answer) }
  },
  ...more
})

const har = (...entries: ReadonlyArray<unknown>) =>
  file("traffic.har", JSON.stringify({ log: { version: "1.2", entries } }))

const noProvider = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.die(new Error(`a request to ${request.url}`)))
)

describe("HTTP exchanges", () => {
  it.effect("replay in a program with the same model", () =>
    Effect.gen(function*() {
      const path = yield* har(
        harEntry(
          chat("A number?", { n: 2, max_tokens: 5, top_p: null, stream: false, user: "me" }),
          completion("chatcmpl-1", "92", "747")
        ),
        harEntry(chat("A number?", { max_tokens: 5 }), completion("chatcmpl-2", "131"))
      )
      const directory = yield* folder
      const { counts, problems } = yield* imported(path, { to: yield* DirectoryStore.make(directory) })
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(counts, { copied: 3, present: 0, skipped: 0, damaged: 0 })
      const texts = yield* LlmModel.sampleMany("A number?", 3).pipe(
        Effect.provide(Persistent.layer({ directory })),
        Effect.provide(Vendors.OpenAi.layer({
          model: "gpt-4o",
          temperature: 1,
          parameters: { max_tokens: 5 },
          apiKey: Redacted.make("no key")
        })),
        Effect.provide(noProvider)
      )
      assert.deepStrictEqual(texts, ["92", "747", "131"])
    }))

  it.effect("of Anthropic with a system text replay too", () =>
    Effect.gen(function*() {
      const request = {
        model: "claude-sonnet-4-5",
        max_tokens: 100,
        temperature: 0.5,
        system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
        messages: [{ role: "user", content: [{ type: "text", text: "A number?" }] }],
        metadata: { user_id: "me" }
      }
      const answer = {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "claude-sonnet-4-5",
        content: [{ type: "thinking", thinking: "Hm." }, { type: "text", text: "92" }],
        stop_reason: "end_turn",
        usage: { input_tokens: 9, output_tokens: 2 }
      }
      const entry = harEntry(request, answer)
      const path = yield* har({ ...entry, request: { ...entry.request, url: "https://api.anthropic.com/v1/messages" } })
      const directory = yield* folder
      yield* imported(path, { to: yield* DirectoryStore.make(directory) })
      const text = yield* LlmModel.sampleOne("A number?").pipe(
        Effect.provide(Persistent.layer({ directory })),
        Effect.provide(Anthropic.layer({
          model: "claude-sonnet-4-5",
          temperature: 0.5,
          system: "Be brief.",
          parameters: { max_tokens: 100 },
          apiKey: Redacted.make("no key")
        })),
        Effect.provide(noProvider)
      )
      assert.strictEqual(text, "92")
    }))

  it.effect("keep when they were answered, and what the provider says of them", () =>
    Effect.gen(function*() {
      const path = yield* har(harEntry(chat("A number?"), completion("chatcmpl-1", "92")))
      const { to } = yield* imported(path)
      const sample = yield* to.get(yield* key({ model: "gpt-4o", temperature: 1 }, "A number?"), 0)
      const { request: _, ...metadata } = sample!.metadata
      assert.include(metadata, {
        index: 0,
        model: "gpt-4o-2024-08-06",
        finishReason: "stop",
        responseId: "chatcmpl-1",
        createdAt: Date.parse("2026-11-01T10:00:00.250Z"),
        elapsed: 250,
        inputTokens: 12,
        outputTokens: 3
      })
    }))

  it.effect("are imported once, also behind samples of a program, and into gaps", () =>
    Effect.gen(function*() {
      const path = yield* har(
        harEntry(chat("A number?"), completion("chatcmpl-1", "92")),
        harEntry(chat("A number?"), completion("chatcmpl-2", "92")),
        harEntry(chat("A number?"), completion("chatcmpl-2", "92"))
      )
      const { counts, to } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 2, present: 1, skipped: 0, damaged: 0 })
      const again = yield* imported(path, { to })
      assert.deepStrictEqual(again.counts, { copied: 0, present: 3, skipped: 0, damaged: 0 })
      const number = yield* key({ model: "gpt-4o", temperature: 1 }, "A number?")
      yield* to.remove(number, [0])
      const more = yield* har(harEntry(chat("A number?"), completion("chatcmpl-3", "16")))
      yield* imported(more, { to })
      assert.deepStrictEqual(Object.values(yield* contents(to)), [["0: 16", "1: 92"]])
    }))

  it.effect("whose answers have no ids are draws of their own, also when they are equal", () =>
    Effect.gen(function*() {
      const { id: _, ...answer } = completion("", "92")
      const path = yield* har(...Array.from({ length: 3 }, () => harEntry(chat("A number?"), answer)))
      const { counts, to } = yield* imported(path)
      assert.strictEqual(counts.copied, 3)
      assert.strictEqual((yield* imported(path, { to })).counts.present, 3)
    }))

  it.effect("of a server that gives every answer the same id are kept apart by their texts", () =>
    Effect.gen(function*() {
      const path = yield* har(
        harEntry(chat("A number?"), completion("chatcmpl-mock", "92")),
        harEntry(chat("A number?"), completion("chatcmpl-mock", "747"))
      )
      assert.strictEqual((yield* imported(path)).counts.copied, 2)
    }))

  it.effect("that no cache could answer are skipped, each with its reason", () =>
    Effect.gen(function*() {
      const answer = completion("chatcmpl-1", "92")
      const at = (url: string, entry: ReturnType<typeof harEntry>) => ({ ...entry, request: { ...entry.request, url } })
      const path = yield* har(
        harEntry(chat("p", { messages: [] }), answer),
        harEntry(chat("p", { model: undefined }), answer),
        harEntry(chat("p", { temperature: "1" }), answer),
        harEntry("not JSON", answer),
        { ...harEntry(chat("p"), answer), response: { status: 429, content: { text: "{}" } } },
        { ...harEntry(chat("p"), answer), response: { content: { text: JSON.stringify(answer) } } },
        at("https://a.example/v1/responses", harEntry({ model: "m", input: "p", background: true }, answer)),
        at("https://a.example/v1/completions", harEntry({ model: "m", prompt: ["p", "q"] }, answer)),
        at("https://example.com/style.css", harEntry("", "")),
        at("https://api.openai.com/v1/embeddings", harEntry({}, {})),
        at("not a url", harEntry({}, {})),
        null,
        {}
      )
      const { counts, problems, to } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 0, present: 0, skipped: 13, damaged: 0 })
      assert.deepStrictEqual(problems.map((problem) => problem.replace(/^skipped: entry \d+: /, "")), [
        "`messages` is no list of messages: give at least one, such as `{\"role\": \"user\", \"content\": \"…\"}`",
        "`model` is missing, and the cache has samples by models",
        "`temperature` is no number: give one, or leave it out",
        "its request is not JSON",
        "the provider answered with status 429",
        "the provider answered with status 0",
        "`background` has no sample in its answer",
        "it has a list of prompts: record a request for each",
        "it is no request to a model",
        "requests to /embeddings are not imported",
        "it is no request to a model",
        "it is no request to a model",
        "it is no request to a model"
      ])
      assert.deepStrictEqual(yield* contents(to), {})
    }))

  it.effect("have keys without the fields that do not change the samples, and with all others", () =>
    Effect.gen(function*() {
      const outside = {
        stream: false,
        stream_options: {},
        n: 1,
        user: "u",
        safety_identifier: "s",
        metadata: {},
        store: true,
        service_tier: "flex",
        prompt_cache_key: "k",
        tools: null,
        top_p: null
      }
      const path = yield* har(
        harEntry(chat("p", outside), completion("chatcmpl-1", "92")),
        harEntry(chat("p", { unknown: 1 }), completion("chatcmpl-2", "747"))
      )
      assert.deepStrictEqual(yield* contents((yield* imported(path)).to), {
        "gpt-4o, temperature 1 | p": ["0: 92"],
        "gpt-4o, temperature 1, {\"unknown\":1} | p": ["0: 747"]
      })
    }))

  it.effect("of a program that recorded the same answer are present", () =>
    Effect.gen(function*() {
      const to = yield* MemoryStore.make
      const number = yield* key({ model: "gpt-4o", temperature: 1 }, "A number?")
      const sample = drawn("92", { request: "a request of the program", index: 0, responseId: "chatcmpl-1" })
      yield* to.put(number, [{ position: 0, drawn: sample }], "drop")
      const path = yield* har(harEntry(chat("A number?"), completion("chatcmpl-1", "92")))
      assert.strictEqual((yield* imported(path, { to })).counts.present, 1)
    }))

  it.effect("with an answer that is no answer are damaged", () =>
    Effect.gen(function*() {
      const path = yield* har(
        harEntry(chat("p"), "<html>"),
        harEntry(chat("p"), "{\"id\":\"chatcmpl-1\",\"choices\":[{"),
        harEntry(chat("p"), { error: { message: "overloaded" } }),
        harEntry(chat("p"), completion("chatcmpl-2", "92"))
      )
      const { counts, problems } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 1, present: 0, skipped: 0, damaged: 3 })
      assert.match(problems[2]!, /^damaged: entry 3: .*overloaded/s)
    }))

  it.effect("that were streamed, packed or in base64 are read", () =>
    Effect.gen(function*() {
      const stream = [
        { id: "chatcmpl-1", choices: [{ index: 0, delta: { role: "assistant", content: "9" } }] },
        { id: "chatcmpl-1", choices: [{ index: 0, delta: { content: "2" }, finish_reason: "stop" }] }
      ].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("") + "data: [DONE]\n\n"
      const base64 = Buffer.from(JSON.stringify(completion("chatcmpl-2", "naïve ✓"))).toString("base64")
      const entry = harEntry(chat("p"), "")
      const path = yield* har(
        harEntry(chat("p", { stream: true, stream_options: { include_usage: true } }), stream),
        { ...entry, response: { status: 200, content: { text: base64, encoding: "base64" } } }
      )
      assert.deepStrictEqual(Object.values(yield* contents((yield* imported(path)).to)), [["0: 92", "1: naïve ✓"]])
    }))

  it.effect("leave no secret of a header, a cookie, a URL or a body in the cache", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const path = yield* har(
        harEntry(chat("p", { api_key: secret, "api-key": secret }), completion("chatcmpl-1", "92")),
        { ...harEntry(chat("q"), {}), response: { status: 401, content: { text: secret } } }
      )
      const { problems } = yield* imported(path, { to: yield* DirectoryStore.make(directory) })
      const files = Fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile()
      )
      assert.isAbove(files.length, 2)
      for (const { name, parentPath } of files) {
        assert.notInclude(parentPath + name + Fs.readFileSync(`${parentPath}/${name}`, "latin1"), secret)
      }
      assert.notInclude(problems.join(), secret)
    }))
})

describe("a cassette of vcrpy", () => {
  const request = JSON.stringify(chat("A number?"))

  it.effect("in YAML is read, with packed bytes and headers", () =>
    Effect.gen(function*() {
      const packed = Zlib.gzipSync(JSON.stringify(completion("chatcmpl-2", "747"))).toString("base64")
      const path = yield* file(
        "cassette.yaml",
        `interactions:
- request:
    body: '${request.replaceAll("'", "''")}'
    headers:
      authorization:
      - Bearer ${secret}
    method: POST
    uri: https://api.openai.com/v1/chat/completions
  response:
    body:
      string: "${JSON.stringify(completion("chatcmpl-1", "9\n2")).replaceAll("\\", "\\\\").replaceAll("\"", "\\\"")}"
    headers:
      Content-Encoding:
      - gzip
    status:
      code: 200
      message: OK
- request:
    body: !!binary |
      ${Buffer.from(request).toString("base64")}
    method: POST
    uri: https://api.openai.com/v1/chat/completions
  response:
    body:
      string: !!binary |
        ${packed}
    headers:
      Content-Encoding:
      - gzip
    status:
      code: 200
      message: OK
version: 1
`
      )
      const { problems, to } = yield* imported(path)
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(yield* contents(to), { "gpt-4o, temperature 1 | A number?": ["0: 9\n2", "1: 747"] })
      const number = yield* key({ model: "gpt-4o", temperature: 1 }, "A number?")
      assert.strictEqual((yield* to.get(number, 0))!.metadata.createdAt, 1_700_000_000_000)
    }))

  it.effect("in JSON is read", () =>
    Effect.gen(function*() {
      const interaction = {
        request: { method: "POST", uri: "https://api.openai.com/v1/chat/completions", body: request, headers: {} },
        response: {
          status: { code: 200 },
          headers: {},
          body: { string: JSON.stringify(completion("chatcmpl-1", "92")) }
        }
      }
      const path = yield* file("cassette.json", JSON.stringify({ version: 1, interactions: [interaction] }, null, 1))
      assert.strictEqual((yield* imported(path)).counts.copied, 1)
    }))

  it.effect("with aliases that multiply without end is refused", () =>
    Effect.gen(function*() {
      const bomb = Array.from({ length: 12 }, (_, i) =>
        `a${i}: &a${i} [${Array(9).fill(i === 0 ? "x" : `*a${i - 1}`).join(", ")}]`).join("\n")
      const path = yield* file("cassette.yaml", `version: 1\n${bomb}\ninteractions: *a11\n`)
      assert.strictEqual((yield* Effect.flip(imported(path)))._tag, "ImportError")
    }))
})

describe("the cache of promptfoo", () => {
  const fetched = `fetch:v2:https://api.openai.com/v1/chat/completions:${
    JSON.stringify({ method: "POST", body: JSON.stringify(chat("A number?")) })
  }`
  const kept = JSON.stringify({
    data: completion("chatcmpl-1", "92"),
    cached: false,
    status: 200,
    headers: { x: secret }
  })

  it.effect("in one file is read, and entries with only a hash are told", () =>
    Effect.gen(function*() {
      const path = yield* file(
        "cache.json",
        JSON.stringify({
          cache: [
            [fetched, { value: kept, expire: 1 }],
            [`fetch:v3:${"0".repeat(64)}`, { value: kept }],
            [`scope:fetch:v3:${"0".repeat(64)}`, { value: kept }],
            ["openai:gpt-4o:{}", { value: "{}" }],
            [fetched, { value: "{" }]
          ],
          lastExpire: 1
        })
      )
      const { counts, problems } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 1, present: 0, skipped: 3, damaged: 1 })
      assert.include(problems[0], "keeps only a hash")
      assert.include(problems[1], "keeps only a hash")
    }))

  it.effect("in a folder of files is read", () =>
    Effect.gen(function*() {
      const root = yield* folder
      Fs.mkdirSync(`${root}/diskstore-0ab`)
      Fs.writeFileSync(`${root}/diskstore-0ab/1.json`, JSON.stringify({ expireTime: 1, key: fetched, val: kept }))
      Fs.writeFileSync(`${root}/diskstore-0ab/2.json`, "{\"expireTime\":1")
      const { counts, to } = yield* imported(root)
      assert.deepStrictEqual(counts, { copied: 1, present: 0, skipped: 0, damaged: 1 })
      assert.deepStrictEqual(
        (yield* Stream.runCollect(to.keys())).map((element) => Result.getOrThrow(element).key.prompt),
        ["A number?"]
      )
    }))
})
