import { assert, describe, it } from "@effect/vitest"
import { Attempt, Independent, MemoryStore } from "@llm-cache/core"
import { Effect, Ref, Result, Schema, Stream } from "effect"
import { AiError, Chat, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { keysOf, samplesOf } from "./support/listed.ts"
import { cached, call, deltas, finish, replayed, scripted, text } from "./support/scripted.ts"

const Weather = Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.Int })

const toolkit = Toolkit.make(Weather)

const handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed(city.length) })

const schema = Schema.Struct({ name: Schema.String })

/** A provider whose answer, whole or as a stream, calls a tool. */
const calling = (name: string, params: unknown = { city: "Rome" }) =>
  scripted(
    () => [text("hm"), call("c1", name, params), finish("tool-calls")],
    () =>
      Stream.fromIterable([...deltas("hm").slice(0, 3), call("c1", name, params), finish("tool-calls")]).pipe(
        Stream.rechunk(1)
      )
  )

const reasonOf = (error: unknown) => {
  assert(AiError.isAiError(error))
  return error.reason
}

describe("a call of a tool that was not offered", () => {
  const programs = {
    text: LanguageModel.generateText({ prompt: "x" }),
    tools: LanguageModel.generateText({ prompt: "x", toolkit }),
    object: LanguageModel.generateObject({ prompt: "x", schema }),
    stream: Stream.runDrain(LanguageModel.streamText({ prompt: "x", toolkit }))
  }

  it.effect.each(Object.keys(programs) as Array<keyof typeof programs>)(
    "is the error of the call and of its replays, and the answer is recorded: %s",
    (name) =>
      Effect.gen(function*() {
        const store = yield* MemoryStore.make
        const program = Effect.flip(Effect.provide(programs[name], handlers))
        for (const model of [cached(calling("deploy").layer, { store }), replayed(store)]) {
          const error = yield* Effect.provide(program, model)
          const reason = reasonOf(error)
          assert(reason._tag === "ToolNotFoundError")
          assert.strictEqual(reason.toolName, "deploy")
          assert.deepStrictEqual(reason.availableTools, ["tools", "stream"].includes(name) ? ["weather"] : [])
          assert.isTrue(reason.isRetryable)
        }
        assert.strictEqual((yield* samplesOf(store)).length, 1)
      })
  )

  it.effect("ends a stream behind the parts before it, in a replay too, and the whole answer is recorded", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const shown: Array<string> = []
      const program = LanguageModel.streamText({ prompt: "x", toolkit }).pipe(
        Stream.runForEach(({ type }) => Effect.sync(() => shown.push(type))),
        Effect.provide(handlers),
        Effect.flip
      )
      // The program leaves the stream because of the error, and not before the answer is recorded.
      const options = { store, whenAbandoned: "abort" } as const
      for (const model of [cached(calling("deploy").layer, options), replayed(store)]) {
        yield* Effect.provide(program, model)
        assert.deepStrictEqual(shown.splice(0), ["text-start", "text-delta", "text-end"])
        assert.strictEqual((yield* samplesOf(store)).length, 1)
      }
    }))

  it.effect("is a call like others for a program that defers validation", () =>
    Effect.gen(function*() {
      const { content } = yield* LanguageModel.generateText({
        prompt: "x",
        toolkit,
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      }).pipe(Effect.provide(handlers), Effect.provide(cached(calling("deploy").layer)))
      assert.deepStrictEqual(content.flatMap((part) => part.type === "tool-call" ? [part.name] : []), ["deploy"])
    }))
})

describe("a tool that the provider executes", () => {
  const Search = Tool.providerDefined({
    id: "acme.search",
    customName: "Search",
    providerName: "search",
    args: Schema.Struct({ region: Schema.String }),
    parameters: Schema.Struct({ query: Schema.String }),
    success: Schema.Struct({ hits: Schema.Int })
  })
  const searching = Toolkit.make(Search({ region: "eu" }))
  const executed = (query: unknown, hits: unknown) => [
    { ...call("c1", "Search", { query }), providerExecuted: true } as const,
    {
      type: "tool-result",
      id: "c1",
      name: "Search",
      isFailure: false,
      result: { hits },
      providerExecuted: true
    } as const
  ]
  const answers = { parameters: executed(1, 2), results: executed("a", "many"), nothing: executed("a", 2) }

  it.effect.each(Object.keys(answers) as Array<keyof typeof answers>)(
    "with %s of a wrong form gives the bare model's parts and error, and its answer is recorded",
    (name) =>
      Effect.gen(function*() {
        const store = yield* MemoryStore.make
        const provider = () =>
          scripted(
            () => [text("hm"), ...answers[name], finish()],
            () => Stream.fromIterable([...deltas("hm").slice(0, 3), ...answers[name], finish()]).pipe(Stream.rechunk(1))
          )
        const shown: Array<unknown> = []
        const whole = LanguageModel.generateText({ prompt: "whole", toolkit: searching }).pipe(
          Effect.map(({ content }) => void shown.push(...content))
        )
        const streamed = LanguageModel.streamText({ prompt: "streamed", toolkit: searching }).pipe(
          Stream.runForEach((part) => Effect.sync(() => shown.push(part)))
        )
        const run = Effect.all([Effect.result(whole), Effect.result(streamed)]).pipe(
          Effect.map((results) => [
            ...shown.splice(0),
            ...results.map((result) => Result.isFailure(result) ? result.failure.message : "no error")
          ])
        )
        const bare = yield* Effect.provide(run, provider().layer)
        const first = provider()
        assert.deepStrictEqual(yield* Effect.provide(run, cached(first.layer, { store })), bare)
        assert.deepStrictEqual(
          Tool.isProviderDefined(first.requests[0]!.tools[0]) && first.requests[0]!.tools[0].args,
          {
            region: "eu"
          }
        )
        assert.deepStrictEqual(yield* Effect.provide(run, replayed(store)), bare)
        assert.deepStrictEqual(yield* Effect.provide(run, cached(provider().layer, { live: false })), bare)
        assert.strictEqual((yield* samplesOf(store)).length, 2)
        assert.strictEqual(bare.slice(-2).includes("no error"), name === "nothing")
      })
  )
})

describe("attempts", () => {
  it.effect("draw again after calls with wrong parameters and of unknown tools, and replay", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const answers = [
        call("c1", "weather", { town: 1 }),
        call("c1", "deploy", {}),
        call("c1", "weather", { city: "Rome" })
      ]
      const provider = scripted((_, i) => [answers[i]!, finish("tool-calls")])
      const errors: Array<string> = []
      const agent = LanguageModel.generateText({ prompt: "x", toolkit }).pipe(
        Effect.tapError((error) => Effect.sync(() => errors.push(reasonOf(error)._tag))),
        Effect.map(({ toolResults }) => toolResults.map(({ result }) => result)),
        Attempt.retry({ times: 5 }),
        Effect.map(({ attempts, value }) => ({ attempts, value })),
        Effect.provide(handlers),
        Effect.provide(Independent.layer)
      )
      for (const model of [cached(provider.layer, { store }), replayed(store)]) {
        assert.deepStrictEqual(yield* Effect.provide(agent, model), { attempts: 3, value: [4] })
        assert.deepStrictEqual(errors.splice(0), ["ToolParameterValidationError", "ToolNotFoundError"])
      }
    }))
})

describe("an object with tools", () => {
  it.effect("keeps the failure of a tool, and of an agent in it, apart from that of its own decoding", () =>
    Effect.gen(function*() {
      const Sub = Tool.make("sub", { success: Schema.String, failure: AiError.AiError })
      const kit = Toolkit.make(Sub)
      const program = LanguageModel.generateObject({ prompt: "main", schema, toolkit: kit })
      const layer = kit.toLayer(Effect.map(LanguageModel.LanguageModel, (model) => ({
        sub: () => Effect.map(model.generateObject({ prompt: "sub", schema }), ({ value }) => value.name)
      })))
      const provider = () =>
        scripted(({ tools }) =>
          tools.length > 0 ? [call("c1", "sub", {}), text(`{"name":1}`), finish()] : [text(`{"name":null}`), finish()]
        ).layer
      const failing = Effect.flip(Effect.provide(program, layer))
      const store = yield* MemoryStore.make
      for (const model of [provider(), cached(provider(), { store }), replayed(store)]) {
        const reason = reasonOf(yield* Effect.provide(failing, model))
        assert.strictEqual(reason._tag === "StructuredOutputError" && reason.responseText, `{"name":null}`)
      }
    }))
})

describe("chats that are merged", () => {
  it.effect("ask the same in every run, also if their calls have equal ids, and are not one key with other chats", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      // Every call of every chat has the id "c1".
      const provider = scripted(({ prompt }) => {
        const last = prompt.content.at(-1)
        return last?.role === "user" && prompt.content.length === 1
          ? [call("c1", "weather", { city: "Rome" }), finish("tool-calls")]
          : [text(`after ${prompt.content.length} messages`), finish()]
      })
      const merged = Effect.gen(function*() {
        const histories: Array<Prompt.Prompt> = []
        for (const prompt of ["one", "two"]) {
          const chat = yield* Chat.empty
          yield* chat.generateText({ prompt, toolkit })
          histories.push(yield* Ref.get(chat.history))
        }
        const both = Prompt.fromMessages(histories.flatMap(({ content }) => content))
        return (yield* LanguageModel.generateText({ prompt: both, toolkit })).text
      }).pipe(Effect.provide(handlers))
      for (const model of [cached(provider.layer, { store }), replayed(store)]) {
        assert.strictEqual(yield* Effect.provide(merged, model), "after 6 messages")
      }
      const told = provider.requests.at(-1)!.prompt.content.flatMap((message) =>
        message.role === "tool" ? message.content.flatMap((part) => part.type === "tool-result" ? [part.id] : []) : []
      )
      assert.deepStrictEqual(told, ["c1", "c1"])
      const prompts = (yield* keysOf(store)).map(({ prompt }) => prompt)
      assert.strictEqual(new Set(prompts).size, 3)
    }))

  it.effect("gives two calls of one id a fork each, so that the models that they ask replay", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const Sub = Tool.make("sub", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })
      const kit = Toolkit.make(Sub)
      const run = (slow: string) =>
        LanguageModel.generateText({ prompt: "Plan", toolkit: kit }).pipe(
          Effect.map(({ toolResults }) => toolResults.map(({ result }) => JSON.stringify(result)).toSorted()),
          Effect.provide(kit.toLayer(Effect.map(LanguageModel.LanguageModel, (model) => ({
            sub: ({ city }) =>
              Effect.gen(function*() {
                if (city === slow) yield* Effect.repeat(Effect.yieldNow, { times: 50 })
                return `${city}: ${(yield* model.generateText({ prompt: "Which?" })).text}`
              })
          })))),
          Effect.provide(Independent.layer)
        )
      const provider = scripted(({ tools }, i) =>
        tools.length === 0
          ? [text(`sub ${i}`), finish()]
          : [call("c1", "sub", { city: "Rome" }), call("c1", "sub", { city: "Oslo" }), finish("tool-calls")]
      )
      const first = yield* Effect.provide(run("Rome"), cached(provider.layer, { store, forkTools: true }))
      assert.deepStrictEqual(yield* Effect.provide(run("Oslo"), replayed(store, { forkTools: true })), first)
      const paths = (yield* keysOf(store)).map(({ path }) => path.join())
      assert.sameMembers(paths, ["", "tool sub c1", "tool sub c1 2"])
    }))
})
