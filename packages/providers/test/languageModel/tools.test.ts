// Tools, toolkits with handlers and chats over loopback.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { type AiError, Chat, IdGenerator, LanguageModel, Prompt, type Response, Tool, Toolkit } from "effect/ai"
import { aiReasonOf, answer, call, chatting, chunk, sse } from "../support/chat.ts"
import { clients } from "../support/clients.ts"
import { makeServer } from "../support/server.ts"

const [, client] = clients[0]!

const Weather = Tool.make("weather", {
  description: "The weather of a city.",
  parameters: Schema.Struct({ city: Schema.String, days: Schema.optional(Schema.Finite) }),
  success: Schema.Struct({ sky: Schema.String })
})
const Now = Tool.make("now", { success: Schema.String })
const toolkit = Toolkit.make(Weather, Now)

/** Handlers that note the calls they get. */
const makeHandlers = (called: Array<unknown>) =>
  toolkit.toLayer({
    weather: (params) => Effect.sync(() => (called.push(params), { sky: `sunny in ${params.city}` })),
    now: () => Effect.sync(() => (called.push("now"), "12:00"))
  })

const callsOf = (parts: ReadonlyArray<Response.AnyPart>) =>
  parts.filter((part) => part.type === "tool-call").map(({ id, name, params }) => ({ id, name, params }))

const resultsOf = (parts: ReadonlyArray<Response.AnyPart>) =>
  Object.fromEntries(parts.flatMap((part) => part.type === "tool-result" ? [[part.id, part.encodedResult]] : []))

const piece = (index: number | undefined, fields: object) => chunk({ tool_calls: [{ index, ...fields }] })

describe("requests with tools", () => {
  it.effect("send each tool with its description, its JSON Schema and its strictness", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "a" }))
      const Strict = Tool.make("strict", {
        parameters: Schema.Struct({ a: Schema.String, b: Schema.optionalKey(Schema.Finite) })
      }).annotate(Tool.Strict, true)
      yield* LanguageModel.generateText({ prompt: "p", toolkit: Toolkit.make(Weather, Strict) }).pipe(
        Effect.provide(
          Toolkit.make(Weather, Strict).toLayer({
            weather: () => Effect.succeed({ sky: "" }),
            strict: () => Effect.void
          })
        ),
        chatting(client, server.url)
      )
      const { body } = server.received[0]!
      assert.deepStrictEqual(body["tools"], [{
        type: "function",
        function: {
          name: "weather",
          description: "The weather of a city.",
          parameters: {
            type: "object",
            properties: { city: { type: "string" }, days: { anyOf: [{ type: "number" }, { type: "null" }] } },
            required: ["city"],
            additionalProperties: true
          }
        }
      }, {
        type: "function",
        function: {
          name: "strict",
          parameters: {
            type: "object",
            properties: { a: { type: "string" }, b: { anyOf: [{ type: "number" }, { type: "null" }] } },
            required: ["a", "b"],
            additionalProperties: false
          },
          strict: true
        }
      }])
      assert.notProperty(body, "tool_choice")
    }))

  it.effect("send the choice of a tool", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "a" }))
      const choices = [
        "auto",
        "none",
        "required",
        { tool: "now" },
        { oneOf: ["now"] },
        { mode: "required", oneOf: ["now"] }
      ] as const
      for (const toolChoice of choices) {
        yield* LanguageModel.generateText({ prompt: "p", toolkit, toolChoice }).pipe(
          Effect.provide(makeHandlers([])),
          chatting(client, server.url)
        )
      }
      assert.deepStrictEqual(
        server.received.map(({ body }) => [body["tool_choice"], (body["tools"] as Array<unknown>).length]),
        [
          [undefined, 2],
          ["none", 2],
          ["required", 2],
          [{ type: "function", function: { name: "now" } }, 2],
          [undefined, 1],
          ["required", 1]
        ]
      )
    }))
})

describe.each(["whole", "stream"] as const)("calls of tools, %s", (mode) => {
  const generate = (
    called: Array<unknown>
  ): Effect.Effect<ReadonlyArray<Response.AnyPart>, AiError.AiError, LanguageModel.LanguageModel> => {
    const parts: Effect.Effect<
      ReadonlyArray<Response.AnyPart>,
      AiError.AiError,
      LanguageModel.LanguageModel | Tool.HandlersFor<typeof toolkit.tools>
    > = mode === "whole"
      ? Effect.map(LanguageModel.generateText({ prompt: "p", toolkit }), ({ content }) => content)
      : Stream.runCollect(LanguageModel.streamText({ prompt: "p", toolkit }))
    return Effect.provide(parts, makeHandlers(called))
  }

  const run = (message: ReadonlyArray<ReturnType<typeof call>>, finish = "tool_calls") =>
    Effect.gen(function*() {
      const called: Array<unknown> = []
      const server = yield* makeServer(
        mode === "whole"
          ? answer({ tool_calls: message }, finish)
          : sse(
            ...message.map(({ function: { arguments: args, name }, id }, index) =>
              piece(index, { id, function: { name, arguments: args } })
            ),
            chunk({}, finish)
          )
      )
      const parts = yield* Effect.exit(generate(called).pipe(chatting(client, server.url)))
      return { parts, called }
    })

  it.effect("run their handlers, several in one answer, and empty arguments are none", () =>
    Effect.gen(function*() {
      for (const finish of ["tool_calls", "stop"]) {
        const { called, parts } = yield* run([call("c1", "weather", { city: "Bonn" }), call("c2", "now", "")], finish)
        const content = yield* parts
        assert.sameDeepMembers(called, [{ city: "Bonn" }, "now"])
        assert.deepStrictEqual(resultsOf(content), { c1: { sky: "sunny in Bonn" }, c2: "12:00" })
        assert.strictEqual(content.find((part) => part.type === "finish")?.reason, "tool-calls")
      }
    }))

  it.effect("take `null` for an optional parameter, as the JSON Schema says, and the fields in the model's order", () =>
    Effect.gen(function*() {
      const { called, parts } = yield* run([
        call("c1", "weather", { days: null, city: "Bonn" }),
        call("c2", "weather", { days: 2, city: "Köln" })
      ])
      const content = yield* parts
      assert.sameDeepMembers(called, [{ city: "Bonn", days: undefined }, { city: "Köln", days: 2 }])
      assert.strictEqual(JSON.stringify(callsOf(content)[1]!.params), "{\"days\":2,\"city\":\"Köln\"}")
    }))

  it.effect("do not run if the answer was cut short", () =>
    Effect.gen(function*() {
      const { called, parts } = yield* run([call("c1", "weather", "{\"city\":\"Bo")], "length")
      const content = yield* parts
      assert.deepStrictEqual(called, [])
      assert.propertyVal(resultsOf(content)["c1"], "type", "execution-interrupted")
    }))

  it.effect("fail for malformed arguments with the tool's name, and run no handler", () =>
    Effect.gen(function*() {
      for (const args of ["{\"city\":", "[1]", "{\"city\":\"x\",\"__proto__\":{}}"]) {
        const { called, parts } = yield* run([call("c1", "weather", args)])
        const error = yield* Effect.flip(parts)
        assert.strictEqual(aiReasonOf(error, "ToolParameterValidationError").toolName, "weather")
        assert.deepStrictEqual(called, [])
      }
    }))

  it.effect("fail for a tool that was not offered", () =>
    Effect.gen(function*() {
      const { parts } = yield* run([call("c1", "rm", {})])
      const reason = aiReasonOf(yield* Effect.flip(parts), "ToolNotFoundError")
      assert.strictEqual(reason.toolName, "rm")
      assert.deepStrictEqual(reason.availableTools, ["weather", "now"])
    }))

  it.effect("are handed out as they came, with validation deferred", () =>
    Effect.gen(function*() {
      const message = [call("c1", "rm", { a: 1 }), call("c2", "weather", "{\"city\":")]
      const server = yield* makeServer(
        mode === "whole" ? answer({ tool_calls: message }, "tool_calls") : sse(
          ...message.map(({ function: called, id }, index) => piece(index, { id, function: called })),
          chunk({}, "tool_calls")
        )
      )
      const options = {
        prompt: "p",
        toolkit,
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      } as const
      const parts: ReadonlyArray<Response.AnyPart> = yield* Effect.provide(
        mode === "whole"
          ? Effect.map(LanguageModel.generateText(options), ({ content }) => content as ReadonlyArray<Response.AnyPart>)
          : Effect.map(
            Stream.runCollect(LanguageModel.streamText(options)),
            (parts) => parts as ReadonlyArray<Response.AnyPart>
          ),
        makeHandlers([])
      ).pipe(chatting(client, server.url))
      assert.deepStrictEqual(callsOf(parts), [
        { id: "c1", name: "rm", params: { a: 1 } },
        { id: "c2", name: "weather", params: "{\"city\":" }
      ])
    }))
})

describe("strict tools", () => {
  it.effect("get their parameters from the form that OpenAI enforces", () =>
    Effect.gen(function*() {
      const Strict = Tool.make("strict", {
        parameters: Schema.Struct({
          limits: Schema.Record(Schema.String, Schema.Finite),
          at: Schema.optionalKey(Schema.DateFromString)
        }),
        success: Schema.String
      }).annotate(Tool.Strict, true)
      const own = Toolkit.make(Strict)
      const called: Array<unknown> = []
      const server = yield* makeServer(
        answer(
          {
            tool_calls: [
              call("c1", "strict", { limits: [{ 0: "a", 1: 1 }], at: null }),
              call("c2", "strict", { limits: [{ 0: "a", 1: 1 }, { 0: "b", 1: 2 }], at: "2026-01-01T00:00:00.000Z" })
            ]
          },
          "tool_calls"
        )
      )
      yield* LanguageModel.generateText({ prompt: "p", toolkit: own }).pipe(
        Effect.provide(own.toLayer({ strict: (params) => Effect.sync(() => (called.push(params), "ok")) })),
        chatting(client, server.url)
      )
      assert.sameDeepMembers(called, [
        { limits: { a: 1 } },
        { limits: { a: 1, b: 2 }, at: new Date("2026-01-01T00:00:00.000Z") }
      ])
    }))
})

describe("calls in pieces", () => {
  const collect = (...data: ReadonlyArray<unknown>) =>
    Effect.gen(function*() {
      const called: Array<unknown> = []
      const server = yield* makeServer(sse(...data))
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "p", toolkit })).pipe(
        Effect.provide(makeHandlers(called)),
        chatting(client, server.url)
      )
      return parts as ReadonlyArray<Response.AnyPart>
    })

  it.effect("are put together, interleaved with each other and with a text", () =>
    Effect.gen(function*() {
      const parts = yield* collect(
        chunk({ content: "Let me see" }),
        piece(0, { id: "c1", type: "function", function: { name: "weather", arguments: "" } }),
        piece(1, { id: "c2", type: "function", function: { name: "weather", arguments: "{\"ci" } }),
        piece(0, { function: { arguments: "{\"city\":\"B" } }),
        piece(1, { function: { arguments: "ty\":\"Köln\"}" } }),
        piece(0, { function: { arguments: "onn\"}" } }),
        chunk({}, "tool_calls")
      )
      assert.deepStrictEqual(callsOf(parts), [
        { id: "c1", name: "weather", params: { city: "Bonn" } },
        { id: "c2", name: "weather", params: { city: "Köln" } }
      ])
      const deltas = (id: string) =>
        parts.map((part) => part.type === "tool-params-delta" && part.id === id ? part.delta : "").join("")
      assert.strictEqual(deltas("c1"), "{\"city\":\"Bonn\"}")
      assert.strictEqual(deltas("c2"), "{\"city\":\"Köln\"}")
      const types = parts.map(({ type }) => type)
      assert.isBelow(types.indexOf("text-end"), types.indexOf("tool-params-start"))
    }))

  it.effect("are told apart by their ids if all have one index, or none", () =>
    Effect.gen(function*() {
      for (const index of [0, undefined]) {
        const parts = yield* collect(
          piece(index, { id: "c1", function: { name: "now", arguments: "{}" } }),
          piece(index, { id: "c2", function: { name: "weather", arguments: "{\"city\":\"Bonn\"}" } }),
          chunk({}, "tool_calls")
        )
        assert.deepStrictEqual(callsOf(parts).map(({ id, name }) => [id, name]), [["c1", "now"], ["c2", "weather"]])
      }
    }))

  it.effect("go on in a piece that has no index, id and name", () =>
    Effect.gen(function*() {
      for (const fields of [{}, { index: null, id: null }, { id: "" }]) {
        for (const name of [{}, { name: null }, { name: "" }]) {
          const next = (args: string) => chunk({ tool_calls: [{ ...fields, function: { ...name, arguments: args } }] })
          const parts = yield* collect(
            piece(undefined, { id: "c1", function: { name: "now", arguments: "" } }),
            next("{"),
            next("}"),
            piece(undefined, { id: "c2", function: { name: "weather", arguments: "" } }),
            next("{\"city\":\"Bonn\"}"),
            chunk({}, "tool_calls")
          )
          assert.deepStrictEqual(callsOf(parts).map(({ id, params }) => [id, params]), [
            ["c1", {}],
            ["c2", { city: "Bonn" }]
          ])
        }
      }
    }))

  it.effect("of a whole answer are calls of their own, also with one id", () =>
    Effect.gen(function*() {
      const args = ["{\"city\":\"Bonn\"}", "{\"city\":\"Rome\"}"]
      for (const index of [{}, { index: 0 }]) {
        const server = yield* makeServer(
          answer({ tool_calls: args.map((args) => ({ ...call("c1", "weather", args), ...index })) })
        )
        const { content } = yield* LanguageModel.generateText({ prompt: "p", toolkit }).pipe(
          Effect.provide(makeHandlers([])),
          chatting(client, server.url)
        )
        assert.deepStrictEqual(callsOf(content).map(({ params }) => params), [{ city: "Bonn" }, { city: "Rome" }])
      }
    }))

  it.effect("get ids of the program's generator if the server gives none", () =>
    Effect.gen(function*() {
      const parts = yield* collect(
        piece(0, { id: "", function: { name: "now", arguments: "{}" } }),
        piece(1, { function: { name: "now", arguments: {} } }),
        chunk({}, "tool_calls")
      ).pipe(Effect.provideService(IdGenerator.IdGenerator, { generateId: () => Effect.succeed("own") }))
      assert.deepStrictEqual(callsOf(parts).map(({ id }) => id), ["own", "own-2"])
    }))
})

describe("a chat", () => {
  it.effect("sends calls and results back, with the fields that the server gave them", () =>
    Effect.gen(function*() {
      const signed = {
        ...call("c1", "weather", { city: "Bonn" }),
        extra_content: { google: { thought_signature: "s" } }
      }
      const server = yield* makeServer(
        answer({ reasoning_content: "hm", tool_calls: [signed, call("c2", "now", {})] }, "tool_calls"),
        answer({ content: "Sunny.", reasoning_content: "so" }),
        answer({ content: "Bye." })
      )
      const called: Array<unknown> = []
      yield* Effect.gen(function*() {
        const chat = yield* Chat.fromPrompt([{ role: "system", content: "Be brief." }])
        yield* chat.generateText({ prompt: "Weather?", toolkit })
        const second = yield* chat.generateText({ prompt: [], toolkit })
        assert.strictEqual(second.text, "Sunny.")
        yield* chat.generateText({ prompt: "Bye" })
      }).pipe(Effect.provide(makeHandlers(called)), chatting(client, server.url))
      assert.lengthOf(called, 2)
      const messages = server.received[2]!.body.messages as ReadonlyArray<
        { readonly role: string; readonly [field: string]: unknown }
      >
      assert.deepStrictEqual(messages.filter(({ role }) => role !== "tool"), [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Weather?" },
        // A model that called a tool goes on from its reasoning, and other reasoning is left out.
        {
          role: "assistant",
          content: null,
          tool_calls: [signed, call("c2", "now", {})],
          reasoning_content: "hm"
        },
        { role: "assistant", content: "Sunny." },
        { role: "user", content: "Bye" }
      ])
      assert.sameDeepMembers(messages.filter(({ role }) => role === "tool"), [
        { role: "tool", tool_call_id: "c1", content: "{\"sky\":\"sunny in Bonn\"}" },
        { role: "tool", tool_call_id: "c2", content: "12:00" }
      ])
    }))

  it.effect("sends details of the reasoning back after a stream", () =>
    Effect.gen(function*() {
      const details = [{ type: "reasoning.encrypted", data: "abc", index: 0 }]
      const server = yield* makeServer(
        sse(chunk({ reasoning_details: details }), chunk({ content: "42" }), chunk({}, "stop")),
        answer({ content: "Bye." })
      )
      yield* Effect.gen(function*() {
        const chat = yield* Chat.empty
        yield* Stream.runDrain(chat.streamText({ prompt: "6 × 7?" }))
        yield* chat.generateText({ prompt: "Bye" })
      }).pipe(chatting(client, server.url))
      assert.deepStrictEqual<unknown>(server.received[1]!.body.messages[1], {
        role: "assistant",
        content: "42",
        reasoning_details: details
      })
    }))

  it.effect("asks for an approval, runs the approved call and sends its result", () =>
    Effect.gen(function*() {
      const Delete = Tool.make("delete", { parameters: Schema.Struct({ a: Schema.String }), needsApproval: true })
      const own = Toolkit.make(Delete)
      let deleted = 0
      const handlers = own.toLayer({ delete: () => Effect.sync(() => void deleted++) })
      const server = yield* makeServer(
        answer({ tool_calls: [call("c1", "delete", { a: "x" })] }, "tool_calls"),
        answer({ content: "Done." })
      )
      yield* Effect.gen(function*() {
        const chat = yield* Chat.empty
        const { content } = yield* chat.generateText({ prompt: "Delete x", toolkit: own })
        assert.strictEqual(deleted, 0)
        const request = content.find((part) => part.type === "tool-approval-request")!
        const approved = Prompt.toolApprovalResponsePart({ approvalId: request.approvalId, approved: true })
        yield* chat.generateText({ prompt: [Prompt.toolMessage({ content: [approved] })], toolkit: own })
      }).pipe(Effect.provide(handlers), chatting(client, server.url))
      assert.strictEqual(deleted, 1)
      const messages = server.received[1]!.body.messages as ReadonlyArray<unknown>
      assert.deepStrictEqual(messages.slice(1), [
        { role: "assistant", content: null, tool_calls: [call("c1", "delete", { a: "x" })] },
        { role: "tool", tool_call_id: "c1", content: "" }
      ])
    }))
})
