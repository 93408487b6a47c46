import { assert, describe, it } from "@effect/vitest"
import { Fork, Independent, type InvalidInput, MemoryStore } from "@llm-cache/core"
import { type Array as Arr, Effect, Exit, Layer, Schema, Stream } from "effect"
import { Chat, IdGenerator, LanguageModel, Prompt, type Response, ResponseIdTracker, Tool, Toolkit } from "effect/ai"
import { keysOf } from "./support/listed.ts"
import { cached, call, finish, replayed, scripted, text } from "./support/scripted.ts"

const Weather = Tool.make("weather", {
  description: "The weather in a city",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ degrees: Schema.Int })
})

const toolkit = Toolkit.make(Weather)

const results = (options: LanguageModel.ProviderOptions) =>
  options.prompt.content.flatMap((message) =>
    message.role === "tool" ? message.content.flatMap((part) => part.type === "tool-result" ? [part.id] : []) : []
  )

/** Two calls at once, and then a text. */
const twoCalls = (options: LanguageModel.ProviderOptions) =>
  results(options).length === 0
    ? [call("c1", "weather", { city: "slow" }), call("c2", "weather", { city: "fast" }), finish("tool-calls")]
    : [text("done"), finish()]

const handlers = (order: ReadonlyArray<string>, log: Array<string> = []) => {
  return toolkit.toLayer({
    weather: ({ city }) =>
      Effect.gen(function*() {
        log.push(city)
        // Each gives way to the others as often as its place in the order says.
        for (let i = 0; i < order.indexOf(city) * 20; i++) yield* Effect.yieldNow
        return { degrees: city.length }
      })
  })
}

const conversation = Effect.gen(function*() {
  const chat = yield* Chat.empty
  yield* chat.generateText({ prompt: "Weather?", toolkit })
  const { text } = yield* chat.generateText({ prompt: [], toolkit })
  return text
})

describe("tools", () => {
  it.effect("runs the handlers in a replay, and replays the answers", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const log: Array<string> = []
      const provider = scripted(twoCalls)
      const first = yield* conversation.pipe(
        Effect.provide(handlers(["slow", "fast"], log)),
        Effect.provide(cached(provider.layer, { store }))
      )
      const second = yield* conversation.pipe(
        Effect.provide(handlers(["slow", "fast"], log)),
        Effect.provide(replayed(store))
      )
      assert.deepStrictEqual([first, second], ["done", "done"])
      assert.deepStrictEqual(log, ["slow", "fast", "slow", "fast"])
      assert.strictEqual(provider.requests.length, 2)
    }))

  it.effect("sends the results of tools in the order of their calls, whichever ends first", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      for (const order of [["slow", "fast"], ["fast", "slow"]]) {
        const provider = scripted(twoCalls)
        yield* conversation.pipe(Effect.provide(handlers(order)), Effect.provide(cached(provider.layer)))
        assert.deepStrictEqual(results(provider.requests[1]!), ["c1", "c2"])
        const model = order[0] === "slow" ? cached(scripted(twoCalls).layer, { store }) : replayed(store)
        assert.strictEqual(yield* conversation.pipe(Effect.provide(handlers(order)), Effect.provide(model)), "done")
      }
    }))

  it.effect("gives the bare model's content, errors and calls of handlers", () =>
    Effect.gen(function*() {
      const scripts = [
        () => [call("c1", "weather", { city: "a" }), finish("tool-calls")],
        () => [call("c1", "unknown", { city: "a" }), finish("tool-calls")],
        () => [call("c1", "weather", { town: 1 }), finish("tool-calls")],
        () => [call("c1", "weather", { city: "a" }), finish("length")],
        () => [text("none"), finish()]
      ]
      for (const script of scripts) {
        for (const disableToolCallResolution of [false, true]) {
          const run = Effect.fnUntraced(
            function*(model: Layer.Layer<LanguageModel.LanguageModel, InvalidInput.InvalidInput>) {
              const log: Array<string> = []
              const exit = yield* LanguageModel.generateText({ prompt: "x", toolkit, disableToolCallResolution }).pipe(
                Effect.provide(handlers([], log)),
                Effect.provide(model),
                Effect.exit
              )
              return { log, shown: Exit.isSuccess(exit) ? exit.value.content : String(exit.cause) }
            }
          )
          const bare = yield* run(scripted(script).layer)
          const ours = yield* run(cached(scripted(script).layer))
          assert.deepStrictEqual(ours, bare)
        }
      }
    }))

  it.effect("keeps the calls that a provider executes", () =>
    Effect.gen(function*() {
      const script = () => [
        { ...call("c1", "weather", { city: "a" }), providerExecuted: true },
        {
          type: "tool-result",
          id: "c1",
          name: "weather",
          isFailure: false,
          result: { degrees: 1 },
          providerExecuted: true
        } as const,
        text("1"),
        finish()
      ]
      const program = LanguageModel.generateText({ prompt: "x", toolkit }).pipe(Effect.provide(handlers([])))
      const store = yield* MemoryStore.make
      const bare = yield* Effect.provide(program, scripted(script).layer)
      const ours = yield* Effect.provide(program, cached(scripted(script).layer, { store }))
      const again = yield* Effect.provide(program, replayed(store))
      assert.deepStrictEqual(ours.content, bare.content)
      assert.deepStrictEqual(again.content, bare.content)
    }))

  it.effect("has one key for chats whose call ids and approval ids differ", () =>
    Effect.gen(function*() {
      let id = 0
      const Deploy = Tool.make("deploy", { parameters: Schema.Struct({}), success: Schema.String, needsApproval: true })
      const kit = Toolkit.make(Deploy)
      const run = Effect.gen(function*() {
        const chat = yield* Chat.empty
        const asked = yield* chat.generateText({ prompt: "Deploy!", toolkit: kit })
        const request = asked.content.find((part) => part.type === "tool-approval-request")!
        const answer = yield* chat.generateText({
          prompt: [{
            role: "tool",
            content: [{ type: "tool-approval-response", approvalId: request.approvalId, approved: true }]
          }],
          toolkit: kit
        })
        return answer.text
      }).pipe(
        Effect.provide(kit.toLayer({ deploy: () => Effect.succeed("ok") })),
        Effect.provideService(IdGenerator.IdGenerator, { generateId: () => Effect.sync(() => `random-${id++}`) })
      )
      const script = (options: LanguageModel.ProviderOptions) =>
        results(options).length === 0
          ? [call(`call-${id++}`, "deploy", {}), finish("tool-calls")]
          : [text("deployed"), finish()]
      const store = yield* MemoryStore.make
      assert.strictEqual(yield* Effect.provide(run, cached(scripted(script).layer, { store })), "deployed")
      assert.strictEqual(yield* Effect.provide(run, replayed(store)), "deployed")
      const other = yield* MemoryStore.make
      yield* Effect.provide(run, cached(scripted(script).layer, { store: other }))
      const prompts = (all: typeof store) => Effect.map(keysOf(all), (keys) => keys.map(({ prompt }) => prompt).sort())
      assert.deepStrictEqual(yield* prompts(other), yield* prompts(store))
    }))

  it.effect("replays agents that tools ask at once, with a fork for each call", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const Sub = Tool.make("sub", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })
      const kit = Toolkit.make(Sub)
      const run = (order: ReadonlyArray<string>) =>
        LanguageModel.generateText({ prompt: "Plan", toolkit: kit }).pipe(
          Effect.map(({ toolResults }) => toolResults.map(({ id, result }) => JSON.stringify([id, result])).sort()),
          Effect.provide(kit.toLayer({
            sub: ({ city }) =>
              Effect.gen(function*() {
                for (let i = 0; i < order.indexOf(city) * 20; i++) yield* Effect.yieldNow
                return (yield* LanguageModel.generateText({ prompt: "Which?" })).text
              }) as Effect.Effect<string>
          })),
          Effect.provide(Independent.layer)
        )
      const script = (options: LanguageModel.ProviderOptions, i: number) =>
        options.tools.length === 0
          ? [text(`sub ${i}`), finish()]
          : [call("c1", "sub", { city: "slow" }), call("c2", "sub", { city: "fast" }), finish("tool-calls")]
      const first = yield* Effect.provide(
        run(["slow", "fast"]),
        cached(scripted(script).layer, { store, forkTools: true })
      )
      const second = yield* Effect.provide(run(["fast", "slow"]), replayed(store, { forkTools: true }))
      assert.deepStrictEqual(second, first)
      const paths = (yield* keysOf(store)).map(({ path }) => path.join())
      assert.sameMembers(paths, ["", "tool sub c1", "tool sub c2"])
    }))

  it.effect("sends whole prompts under a ResponseIdTracker, also after recorded ids", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const script = () => [{ type: "response-metadata", id: "r1" } as const, text("a"), finish()]
      const turns = Effect.gen(function*() {
        const chat = yield* Chat.empty
        yield* chat.generateText({ prompt: "one" })
        return (yield* chat.generateText({ prompt: "two" })).text
      }).pipe(Effect.provideServiceEffect(ResponseIdTracker.ResponseIdTracker, ResponseIdTracker.make))
      const provider = scripted(script)
      yield* Effect.provide(turns, cached(provider.layer, { store }))
      for (const request of provider.requests) assert.isUndefined(request.previousResponseId)
      assert.strictEqual(yield* Effect.provide(turns, replayed(store)), "a")
    }))

  it.effect("runs tools of streams, and gives the bare model's parts", () =>
    Effect.gen(function*() {
      const chunks: ReadonlyArray<Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>> = [
        [{ type: "tool-params-start", id: "c1", name: "weather" }, { type: "tool-params-delta", id: "c1", delta: "{" }],
        [{ type: "tool-params-delta", id: "c1", delta: "}" }, { type: "tool-params-end", id: "c1" }],
        [call("c1", "weather", { city: "a" })],
        [finish("tool-calls")]
      ]
      const provider = () => scripted(undefined, () => Stream.flattenArray(Stream.fromIterable(chunks)))
      const store = yield* MemoryStore.make
      const program = Stream.runCollect(LanguageModel.streamText({ prompt: "x", toolkit })).pipe(
        Effect.provide(handlers([]))
      )
      const bare = yield* Effect.provide(program, provider().layer)
      assert.deepStrictEqual(yield* Effect.provide(program, cached(provider().layer, { store })), bare)
      assert.deepStrictEqual(yield* Effect.provide(program, replayed(store)), bare)
    }))

  it.effect("keeps the forks of a program", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const answers = yield* Fork.forEach(
        [0, 1],
        () => Effect.map(LanguageModel.generateText({ prompt: Prompt.make("x") }), ({ text }) => text)
      ).pipe(Effect.provide(cached(provider.layer)))
      assert.deepStrictEqual(answers, ["answer 0", "answer 1"])
    }))
})
