import { assert, describe, it } from "@effect/vitest"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { chat, completion, contents, file, imported, importedBatch, lines } from "./support/exchange.ts"

const request = (custom_id: string, body: object, url = "/v1/chat/completions") => ({
  custom_id,
  method: "POST",
  url,
  body
})

const answer = (custom_id: string, body: object, status_code = 200) => ({
  id: `batch_req_${custom_id}`,
  custom_id,
  response: { status_code, request_id: `req_${custom_id}`, body },
  error: null
})

const requests = lines(
  request("one", chat("A number?")),
  request("two", chat("A number?")),
  request(
    "three",
    chat("A word?", { messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "A word?" }] })
  )
)

describe("the answers of an OpenAI batch", () => {
  it.effect("get the keys of their requests, equal requests successive positions, in any order", () =>
    Effect.gen(function*() {
      const answers = yield* file(
        "output.jsonl",
        lines(
          answer("three", completion("chatcmpl-3", "sun")),
          answer("two", completion("chatcmpl-2", "747")),
          answer("one", completion("chatcmpl-1", "92"))
        )
      )
      const sent = yield* file("batch.jsonl", requests)
      const { counts, problems, to } = yield* importedBatch([answers], sent)
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(counts, { copied: 3, present: 0, skipped: 0, damaged: 0 })
      assert.deepStrictEqual(yield* contents(to), {
        "gpt-4o, temperature 1 | A number?": ["0: 747", "1: 92"],
        "gpt-4o, temperature 1, {\"system\":\"Be brief.\"} | A word?": ["0: sun"]
      })
      const again = yield* importedBatch([answers], sent, { to })
      assert.deepStrictEqual(again.counts, { copied: 0, present: 3, skipped: 0, damaged: 0 })
    }))

  it.effect("in any number are placed without reading the samples of a key again", () =>
    Effect.gen(function*() {
      const ids = Array.from({ length: 1000 }, (_, i) => `r${i}`)
      const sent = yield* file("batch.jsonl", lines(...ids.map((id) => request(id, chat("A number?")))))
      const answers = yield* file("output.jsonl", lines(...ids.map((id) => answer(id, completion(id, `n ${id}`)))))
      const store = yield* MemoryStore.make
      let read = 0
      const to = SampleStore.make({
        ...store,
        getMany: (key, start, n) =>
          Effect.tap(store.getMany(key, start, n), ({ length }) => Effect.sync(() => void (read += length)))
      })
      const { counts } = yield* importedBatch([answers], sent, { to })
      assert.deepInclude(counts, { copied: 1000, present: 0 })
      assert.strictEqual(read, 0)
      assert.deepInclude((yield* importedBatch([answers], sent, { to })).counts, { copied: 0, present: 1000 })
      assert.strictEqual(read, 1000)
    }))

  it.effect("that are errors, torn, foreign or missing are told, and the others imported", () =>
    Effect.gen(function*() {
      const output = yield* file(
        "output.jsonl",
        lines(
          answer("one", completion("chatcmpl-1", "92")),
          answer("foreign", completion("chatcmpl-9", "9")),
          "{\"id\":\"batch_req",
          { response: {} }
        )
      )
      const errors = yield* file(
        "errors.jsonl",
        lines(
          answer("two", { error: { message: "Rate limit reached" } }, 429),
          { ...answer("three", {}), response: null, error: { code: "batch_expired", message: "It expired." } }
        )
      )
      const sent = yield* file("batch.jsonl", requests + lines(request("four", chat("A city?"))))
      const { counts, problems } = yield* importedBatch([output, errors], sent)
      assert.deepStrictEqual(counts, { copied: 1, present: 0, skipped: 0, damaged: 6 })
      assert.deepStrictEqual(problems, [
        "damaged: line 2 (foreign): no request has its `custom_id`: give the file that was sent",
        "damaged: line 3: it is not a whole JSON object",
        "damaged: line 4: it has no `custom_id`",
        "damaged: line 1 (two): the provider answered with an error: Rate limit reached",
        "damaged: line 2 (three): the provider answered with an error: It expired.",
        "damaged: four: the batch has no answer to this request"
      ])
    }))

  it.effect("of other endpoints are skipped", () =>
    Effect.gen(function*() {
      const output = yield* file("output.jsonl", lines(answer("one", { object: "list" })))
      const sent = yield* file("batch.jsonl", lines(request("one", { input: "a" }, "/v1/embeddings")))
      assert.deepStrictEqual((yield* importedBatch([output], sent)).problems, [
        "skipped: line 1 (one): it is no chat completion"
      ])
    }))

  it.effect("need the requests, which name each answer once", () =>
    Effect.gen(function*() {
      const output = yield* file("output.jsonl", lines(answer("one", completion("chatcmpl-1", "92"))))
      assert.match((yield* Effect.flip(imported(output))).message, /--requests/)
      for (
        const content of [
          lines(request("one", chat("a")), request("one", chat("b"))),
          lines({ custom_id: "one" }),
          lines({ body: {} }),
          lines(request("one", chat("a"))) + "{\"custom_id\"",
          "",
          "[]",
          "{\"requests\":[]}",
          "{\"requests\":[3]}"
        ]
      ) {
        const sent = yield* file("batch.jsonl", content)
        assert.strictEqual((yield* Effect.flip(importedBatch([output], sent)))._tag, "ImportError", content)
      }
    }))

  it.effect("are imported by `import` too", () =>
    Effect.gen(function*() {
      const output = yield* file("output.jsonl", lines(answer("one", completion("chatcmpl-1", "92"))))
      const sent = yield* file("batch.jsonl", lines(request("one", chat("a"))))
      assert.strictEqual((yield* imported(output, { requests: sent })).counts.copied, 1)
    }))

  it.effect("get the aliases and forks that `batch make` noted", () =>
    Effect.gen(function*() {
      const output = yield* file("output.jsonl", lines(answer("one", completion("chatcmpl-1", "92"))))
      const sent = yield* file("batch.jsonl", requests)
      Fs.writeFileSync(
        `${sent}.keys`,
        lines({ custom_id: "one", model: "mine", temperature: 0.5, parameters: { top_p: 1 }, fork: ["a", "b"] })
      )
      assert.deepStrictEqual(yield* contents((yield* importedBatch([output], sent)).to), {
        "mine, temperature 0.5, {\"top_p\":1} | a | b | A number?": ["0: 92"]
      })
    }))
})

describe("the results of an Anthropic batch", () => {
  const params = {
    model: "claude-sonnet-4-5",
    max_tokens: 10,
    temperature: 1,
    messages: [{ role: "user", content: "A number?" }]
  }
  const message = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-sonnet-4-5",
    content: [{ type: "text", text: "92" }],
    stop_reason: "end_turn",
    usage: { input_tokens: 1, output_tokens: 1 }
  }
  const results = lines(
    { custom_id: "c", result: { type: "expired" } },
    { custom_id: "a", result: { type: "succeeded", message } },
    {
      custom_id: "b",
      result: { type: "errored", error: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } } }
    }
  )
  const all = ["a", "b", "c"].map((custom_id) => ({ custom_id, params }))

  for (
    const [form, content] of [["one object", JSON.stringify({ requests: all }, null, 2)], ["lines", lines(...all)]]
  ) {
    it.effect(`are imported, with requests as ${form}`, () =>
      Effect.gen(function*() {
        const output = yield* file("results.jsonl", results)
        const { problems, to } = yield* importedBatch([output], yield* file("batch.json", content!))
        assert.deepStrictEqual(problems, [
          "damaged: line 1 (c): the request expired",
          "damaged: line 3 (b): the request errored: Overloaded"
        ])
        assert.deepStrictEqual(yield* contents(to), {
          "claude-sonnet-4-5, temperature 1, {\"max_tokens\":10} | A number?": ["0: 92"]
        })
      }))
  }
})
