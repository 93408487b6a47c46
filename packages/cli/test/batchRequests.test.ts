import { assert, describe, it } from "@effect/vitest"
import type * as Identity from "@llm-cache/core/Identity"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import { batchRequests } from "../src/exchange/batchRequests.ts"
import { wantedOf } from "../src/exchange/prompts.ts"
import { completion, contents, file, importedBatch, key, lines } from "./support/exchange.ts"

const requested = Effect.fnUntraced(function*(
  options: Identity.Options,
  positions: ReadonlyArray<number>,
  protocol: "chat" | "messages" = "chat",
  path: ReadonlyArray<string> = [],
  model?: string
) {
  return yield* batchRequests(protocol, yield* key(options, "A number?", path), positions, model)
})

describe("requests of a batch", () => {
  it.effect("have the body that a program sends", () =>
    Effect.gen(function*() {
      const found = yield* requested(
        { model: "gpt-4o", temperature: 0.5, parameters: { max_tokens: 3, system: "Be brief." } },
        [0, 7]
      )
      assert.isArray(found)
      const [first, second] = found as ReadonlyArray<{ readonly request: Record<string, unknown> }>
      assert.deepStrictEqual(first!.request["body"], {
        max_tokens: 3,
        model: "gpt-4o",
        temperature: 0.5,
        messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "A number?" }]
      })
      assert.include(first!.request, { method: "POST", url: "/v1/chat/completions" })
      assert.deepStrictEqual(second!.request["body"], first!.request["body"])
      assert.notStrictEqual(second!.request["custom_id"], first!.request["custom_id"])
      for (const { request } of [first!, second!]) assert.match(String(request["custom_id"]), /^[a-zA-Z0-9_-]{1,64}$/)
    }))

  it.effect("of Anthropic have its form, and need max_tokens", () =>
    Effect.gen(function*() {
      const found = yield* requested({ model: "claude", parameters: { max_tokens: 3, system: "s" } }, [0], "messages")
      const [line] = found as ReadonlyArray<{ readonly request: Record<string, unknown> }>
      assert.deepStrictEqual(line!.request["params"], {
        model: "claude",
        max_tokens: 3,
        system: "s",
        messages: [{ role: "user", content: "A number?" }]
      })
      assert.match(JSON.stringify(yield* requested({ model: "claude" }, [0], "messages")), /unfit.*max_tokens/)
    }))

  it.effect("of a whole conversation do not fit", () =>
    Effect.gen(function*() {
      const found = yield* requested({ model: "m", parameters: { "llm-cache": "chat" } }, [0])
      assert.match(JSON.stringify(found), /unfit/)
    }))

  it.effect("go round through a batch file, with alias and forks", () =>
    Effect.gen(function*() {
      const options = { model: "mine", temperature: 1, parameters: { system: "s", max_tokens: 2 } }
      const made = [
        ...(yield* requested(options, [0, 1], "chat", [], "gpt-4o")) as ReadonlyArray<any>,
        ...(yield* requested(options, [0], "chat", ["worker/7"], "gpt-4o")) as ReadonlyArray<any>
      ]
      assert.deepStrictEqual(made.map(({ request }) => request.body.model), ["gpt-4o", "gpt-4o", "gpt-4o"])
      assert.strictEqual(new Set(made.map(({ request }) => request.custom_id)).size, 3)
      const sent = yield* file("batch.jsonl", lines(...made.map(({ request }) => request)))
      Fs.writeFileSync(`${sent}.keys`, lines(...made.map(({ key }) => key)))
      const answers = yield* file(
        "output.jsonl",
        lines(...made.map(({ request }, i) => ({
          custom_id: request.custom_id,
          response: { status_code: 200, body: completion(`chatcmpl-${i}`, String(i)) }
        })))
      )
      const { problems, to } = yield* importedBatch([answers], sent)
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(yield* contents(to), {
        "mine, temperature 1, {\"max_tokens\":2,\"system\":\"s\"} | A number?": ["0: 0", "1: 1"],
        "mine, temperature 1, {\"max_tokens\":2,\"system\":\"s\"} | worker/7 | A number?": ["0: 2"]
      })
    }))
})

describe("a file of prompts", () => {
  const wanted = (content: string, defaults = {}) =>
    Effect.flatMap(file("prompts.jsonl", content), (path) => Stream.runCollect(wantedOf(path, defaults)))

  it.effect("has texts, and objects with the key and the count", () =>
    Effect.gen(function*() {
      const found = yield* wanted(
        lines(JSON.stringify("A\nnumber?"), {
          prompt: "q",
          model: "m",
          temperature: 0,
          parameters: { a: 1 },
          fork: ["f"],
          count: 3
        }),
        { model: "gpt-4o", temperature: 1, count: 2 }
      )
      assert.deepStrictEqual(
        found.map(({ key, samples }) => [key.identity.toString(), key.prompt, key.path, samples]),
        [
          ["gpt-4o, temperature 1", "A\nnumber?", [], 2],
          ["m, temperature 0, {\"a\":1}", "q", ["f"], 3]
        ]
      )
    }))

  it.effect("with anything else fails and says where", () =>
    Effect.gen(function*() {
      for (
        const line of [
          "plain text",
          "3",
          "{}",
          { prompt: 3 },
          { prompt: "p", count: -1 },
          { prompt: "p", count: "2" },
          { prompt: "p", fork: [3] },
          { prompt: "p", fork: "f" },
          { prompt: "p", temperature: "1" }
        ]
      ) {
        const error = yield* Effect.flip(wanted(lines({ prompt: "ok" }, line), { model: "m" }))
        assert.match(error.message, /line 2/)
      }
      assert.match((yield* Effect.flip(wanted(lines({ prompt: "p" })))).message, /--model/)
    }))
})
