// Objects, asked for in each way that servers know.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { aiReasonOf, answer, call, chatting } from "../support/chat.ts"
import { clients, noRequests } from "../support/clients.ts"
import { makeServer } from "../support/server.ts"

const [, client] = clients[0]!

describe("generateObject", () => {
  const Person = Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Finite) })
  const person = LanguageModel.generateObject({ prompt: "p", schema: Person, objectName: "a person!" })

  const strict = {
    type: "object",
    properties: { name: { type: "string" }, age: { anyOf: [{ type: "number" }, { type: "null" }] } },
    required: ["name", "age"],
    additionalProperties: false
  }

  it.effect("asks by a strict JSON Schema, and reads its forms of optional fields", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"name\":\"Ada\",\"age\":null}" }))
      const { value } = yield* person.pipe(chatting(client, server.url))
      assert.deepStrictEqual(value, { name: "Ada" })
      assert.deepStrictEqual(server.received[0]!.body["response_format"], {
        type: "json_schema",
        json_schema: { name: "a_person_", schema: strict, strict: true }
      })
    }))

  it.effect("asks by a plain JSON Schema with `strictJsonSchema: false`", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"name\":\"Ada\"}" }))
      const { value } = yield* person.pipe(chatting(client, server.url, { strictJsonSchema: false }))
      assert.deepStrictEqual(value, { name: "Ada" })
      assert.deepInclude(server.received[0]!.body["response_format"], {
        json_schema: {
          name: "a_person_",
          schema: {
            type: "object",
            properties: { name: { type: "string" }, age: { type: "number" } },
            required: ["name"],
            additionalProperties: true
          },
          strict: false
        }
      })
    }))

  it.effect("asks servers without JSON Schemas by JSON and a system message, or by the message alone", () =>
    Effect.gen(function*() {
      for (const structuredOutput of ["json_object", "prompt"] as const) {
        const server = yield* makeServer(answer({ content: "```json\n{\"name\":\"Ada\"}\n```" }))
        const ask = chatting(client, server.url, { structuredOutput })
        assert.deepStrictEqual((yield* person.pipe(ask)).value, { name: "Ada" })
        const prompt = Prompt.setSystem(Prompt.make("p"), "Be brief.")
        yield* LanguageModel.generateObject({ prompt, schema: Person }).pipe(ask)
        const [first, second] = server.received.map(({ body }) => body)
        assert.deepStrictEqual(
          first!["response_format"],
          structuredOutput === "json_object" ? { type: "json_object" } : undefined
        )
        assert.lengthOf(first!.messages, 2)
        assert.include(first!.messages[0]!.content, "JSON Schema")
        assert.include(first!.messages[0]!.content, "\"name\"")
        assert.lengthOf(second!.messages, 2)
        assert.match(second!.messages[0]!.content, /^Be brief\.\n\nAnswer with a JSON object/)
      }
    }))

  it.effect("reads what a plain JSON Schema allows, dates and `null` for an optional field", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"at\":\"2026-01-01T00:00:00.000Z\",\"note\":null}" }))
      const schema = Schema.Struct({ at: Schema.Date, note: Schema.optional(Schema.String) })
      const { value } = yield* LanguageModel.generateObject({ prompt: "p", schema }).pipe(
        chatting(client, server.url, { structuredOutput: "json_object" })
      )
      assert.deepStrictEqual(value, { at: new Date("2026-01-01T00:00:00.000Z"), note: undefined })
    }))

  it.effect("asks by a tool whose parameters are the object, beside the tools of the program", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        answer({ tool_calls: [call("c1", "a_person_", { name: "Ada" })] }, "tool_calls")
      )
      const ask = chatting(client, server.url, { structuredOutput: "tool" })
      const response = yield* person.pipe(ask)
      assert.deepStrictEqual(response.value, { name: "Ada" })
      assert.strictEqual(response.finishReason, "stop")
      const toolkit = Toolkit.make(Tool.make("now", { success: Schema.String }))
      yield* LanguageModel.generateObject({ prompt: "p", schema: Person, objectName: "a_person_", toolkit }).pipe(
        Effect.provide(toolkit.toLayer({ now: () => Effect.succeed("12:00") })),
        ask
      )
      const [first, second] = server.received.map(({ body }) => body)
      assert.deepStrictEqual(first!["tool_choice"], { type: "function", function: { name: "a_person_" } })
      assert.notProperty(first, "response_format")
      assert.strictEqual(second!["tool_choice"], "required")
      assert.deepStrictEqual(
        (second!["tools"] as ReadonlyArray<{ readonly function: { readonly name: string } }>)
          .map((tool) => tool.function.name),
        ["now", "a_person_"]
      )
      const taken = yield* LanguageModel.generateObject({ prompt: "p", schema: Person, objectName: "now", toolkit })
        .pipe(
          Effect.provide(toolkit.toLayer({ now: () => Effect.succeed("12:00") })),
          Effect.flip,
          ask
        )
      assert.include(aiReasonOf(taken, "InvalidRequestError").description, "objectName")
    }))

  it.effect("fails for an object of another form with the text that came", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"name\":1,\"age\":null}" }), answer({ refusal: "no" }))
      const ask = chatting(client, server.url)
      const wrong = aiReasonOf(yield* Effect.flip(person.pipe(ask)), "StructuredOutputError")
      assert.strictEqual(wrong.responseText, "{\"name\":1,\"age\":null}")
      assert.strictEqual(aiReasonOf(yield* Effect.flip(person.pipe(ask)), "StructuredOutputError").responseText, "")
    }))

  it.effect("fails for a schema that OpenAI does not take, before anything is sent", () =>
    Effect.gen(function*() {
      const error = yield* LanguageModel.generateObject({
        prompt: "p",
        schema: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])
      }).pipe(Effect.flip, chatting(noRequests, "http://127.0.0.1:1"))
      assert.include(aiReasonOf(error, "UnsupportedSchemaError").description, "wrap the schema in a struct")
    }))
})
