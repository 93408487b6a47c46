import { assert, describe, it } from "@effect/vitest"
import { ModelRequest } from "@llm-cache/ai"
import { DateTime, Effect, Option, Redacted, Schema } from "effect"
import { Chat, Prompt, Tool } from "effect/ai"
import * as Fs from "node:fs"

const Weather = Tool.make("weather", {
  description: "The weather in a city",
  parameters: Schema.Struct({ why: Schema.String, city: Schema.String }),
  success: Schema.Int
})

const golden = (name: string) => Fs.readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8").trimEnd()

const request = (fields: Partial<ModelRequest.Request> = {}): ModelRequest.Request => ({
  prompt: Prompt.make("x"),
  tools: [],
  toolChoice: "none",
  responseFormat: { type: "text" },
  ...fields
})

const encode = (fields: Partial<ModelRequest.Request>) => ModelRequest.makeEncoder()(request(fields))

const messages = (content: ReadonlyArray<Prompt.MessageEncoded>) => ({ prompt: Prompt.make(content) })

const conversation = (
  id: string,
  params: unknown = { why: "asked", city: "Rome" }
): ReadonlyArray<Prompt.MessageEncoded> => [
  { role: "system", content: "Be\nbrief." },
  { role: "user", content: "Weather?", options: { b: { z: 1, a: 2 }, a: null } },
  {
    role: "assistant",
    content: [
      { type: "reasoning", text: "hm", options: { anthropic: { signature: "s" } } },
      { type: "tool-call", id, name: "weather", params, options: { openai: { itemId: "fc_1" } } }
    ]
  },
  { role: "tool", content: [{ type: "tool-result", id, name: "weather", isFailure: false, result: { b: 1, a: [2] } }] }
]

const lossy = (value: unknown) =>
  encode(
    messages([{
      role: "tool",
      content: [{ type: "tool-result", id: "c", name: "t", isFailure: false, result: value }]
    }])
  )

describe("ModelRequest", () => {
  it.effect("writes the request of the golden file", () =>
    Effect.gen(function*() {
      const text = yield* encode({
        ...messages([
          ...conversation("call-1"),
          {
            role: "user",
            content: [
              { type: "file", mediaType: "image/png", fileName: "a.png", data: new Uint8Array([0, 1, 2]) },
              { type: "file", mediaType: "image/png", data: new URL("https://example.org/a.png") }
            ]
          }
        ]),
        tools: [
          Weather,
          Tool.providerDefined({
            id: "openai.web_search",
            customName: "WebSearch",
            providerName: "web_search",
            args: Schema.Struct({ size: Schema.String }),
            parameters: Schema.Struct({})
          })({ size: "high" })
        ],
        toolChoice: { mode: "required", oneOf: ["weather"] },
        responseFormat: { type: "json", objectName: "person", schema: Schema.Struct({ name: Schema.String }) },
        settings: { Config: { top_p: 0.5, seed: 1 } }
      })
      assert.strictEqual(text, golden("request.txt"))
    }))

  it.effect("writes the schemas of the golden file: unions, optional fields, records, recursion, classes and dates", () =>
    Effect.gen(function*() {
      interface Tree {
        readonly name: string
        readonly children: ReadonlyArray<Tree>
      }
      const Tree: Schema.Codec<Tree> = Schema.Struct({
        name: Schema.String,
        children: Schema.Array(Schema.suspend(() => Tree))
      }).annotate({ identifier: "Tree" })
      class Person extends Schema.Class<Person>("Person")({
        name: Schema.NonEmptyString.annotate({ description: "The full name" }),
        born: Schema.optionalKey(Schema.DateTimeUtcFromString)
      }) {}
      const schema = Schema.Struct({
        shape: Schema.Union([
          Schema.TaggedStruct("circle", { radius: Schema.Finite.check(Schema.isGreaterThan(0)) }),
          Schema.TaggedStruct("square", { side: Schema.Int })
        ]),
        note: Schema.optional(Schema.NullOr(Schema.String)),
        color: Schema.Literals(["red", "green"]),
        pair: Schema.Tuple([Schema.String, Schema.Boolean]),
        scores: Schema.Record(Schema.String, Schema.Number),
        at: Schema.Date,
        some: Schema.Option(Schema.String),
        person: Person,
        tree: Tree
      })
      const tool = Tool.make("draw", { parameters: Schema.Struct({ person: Person, tree: Tree }) })
      const text = yield* encode({
        tools: [tool, tool.annotate(Tool.Strict, true)],
        toolChoice: { tool: "draw" },
        responseFormat: { type: "json", objectName: "all", schema }
      })
      assert.strictEqual(text, golden("schemas.txt"))
    }))

  it.effect("has one key for bytes and base64, and another for other bytes", () =>
    Effect.gen(function*() {
      const keyOf = (data: string | Uint8Array | URL) =>
        encode(messages([{ role: "user", content: [{ type: "file", mediaType: "image/png", data }] }]))
      const bytes = yield* keyOf(new Uint8Array([0, 1, 2]))
      assert.strictEqual(yield* keyOf("AAEC"), bytes)
      assert.strictEqual(yield* keyOf("data:image/png;base64,AAEC"), bytes)
      assert.notStrictEqual(yield* keyOf("AAED"), bytes)
      assert.notStrictEqual(
        yield* keyOf(new URL("https://example.org/a")),
        yield* keyOf(new URL("https://example.org/b"))
      )
      assert.notInclude(bytes, "AAEC")
    }))

  it.effect("does not tell apart ids of calls, ids of messages that a chat gives, and the order of options", () =>
    Effect.gen(function*() {
      const one = yield* encode(messages(conversation("call-1")))
      assert.strictEqual(yield* encode(messages(conversation("call-2"))), one)
      const [system, user, ...others] = conversation("call-1")
      const persisted = { [Chat.Persistence.key]: { messageId: "random" } }
      assert.strictEqual(
        yield* encode(messages([
          { ...system!, options: persisted },
          { ...user!, options: { a: null, b: { a: 2, z: 1 }, ...persisted } },
          ...others
        ])),
        one
      )
    }))

  it.effect("tells apart whether two calls have one id or two", () =>
    Effect.gen(function*() {
      const merged = (first: string, second: string) =>
        encode(messages([...conversation(first), ...conversation(second)]))
      assert.strictEqual(yield* merged("a", "b"), yield* merged("c", "d"))
      assert.notStrictEqual(yield* merged("a", "a"), yield* merged("a", "b"))
    }))

  it.effect("tells apart the order of fields that the model sees", () =>
    Effect.gen(function*() {
      const format = (schema: Schema.Top) => encode({ responseFormat: { type: "json", objectName: "o", schema } })
      const { answer, why } = { answer: Schema.String, why: Schema.String }
      assert.notStrictEqual(
        yield* format(Schema.Struct({ why, answer })),
        yield* format(Schema.Struct({ answer, why }))
      )
      const params = (value: object) => encode(messages(conversation("c", value)))
      assert.notStrictEqual(yield* params({ a: 1, b: 2 }), yield* params({ b: 2, a: 1 }))
    }))

  it.effect("does not tell apart what the model does not see", () =>
    Effect.gen(function*() {
      const Other = Tool.make("weather", {
        description: "The weather in a city",
        parameters: Schema.Struct({ why: Schema.String, city: Schema.String }),
        success: Schema.String,
        needsApproval: true
      })
      assert.strictEqual(
        yield* encode({ tools: [Other], toolChoice: "auto" }),
        yield* encode({ tools: [Weather], toolChoice: "auto" })
      )
    }))

  it.effect("tells apart tools, choices and settings", () =>
    Effect.gen(function*() {
      const keys = yield* Effect.all([
        encode({}),
        encode({ tools: [Weather], toolChoice: "auto" }),
        encode({ tools: [Weather], toolChoice: "required" }),
        encode({ tools: [Weather.annotate(Tool.Strict, true)], toolChoice: "auto" }),
        encode({ settings: { Config: { seed: 1 } } }),
        encode({ settings: { Config: { seed: 2 } } }),
        encode({ responseFormat: { type: "json", objectName: "a", schema: Schema.Struct({}) } }),
        encode({ responseFormat: { type: "json", objectName: "b", schema: Schema.Struct({}) } })
      ])
      assert.strictEqual(new Set(keys).size, keys.length)
    }))

  it.effect("writes a lone surrogate as an escape, which every store can hold", () =>
    Effect.gen(function*() {
      const text = yield* encode({ prompt: Prompt.make("a\ud800") })
      assert.isTrue(text.isWellFormed())
      assert.notStrictEqual(text, yield* encode({ prompt: Prompt.make("a\ud801") }))
    }))

  it.effect("writes dates and options as JSON does", () =>
    Effect.gen(function*() {
      const at = "2026-01-02T03:04:05.000Z"
      assert.include(yield* lossy({ at: new Date(at), utc: DateTime.makeUnsafe(at) }), `{"at":"${at}","utc":"${at}"}`)
      assert.include(yield* lossy(Option.some(1)), JSON.stringify(Option.some(1)))
      assert.include(yield* lossy(Option.none()), JSON.stringify(Option.none()))
    }))

  it.effect("refuses values that JSON loses, and says where they are", () =>
    Effect.gen(function*() {
      const self: Record<string, unknown> = {}
      self["self"] = self
      const values: ReadonlyArray<unknown> = [
        1n,
        NaN,
        new Map(),
        new Set(),
        new Uint8Array(1),
        Symbol(),
        () => 1,
        new Date(NaN),
        Redacted.make("secret"),
        Option.some(Redacted.make("secret")),
        self
      ]
      for (const value of values) {
        const error = yield* Effect.flip(lossy({ list: [value] }))
        assert.include(error.message, "message 1, part 1.result.list[0]")
        assert.notInclude(error.message, "secret")
      }
    }))
})
