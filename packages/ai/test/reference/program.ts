import { CachedModel, ModelAnswer, RequestModel } from "@llm-cache/ai"
import { Fork, Independent, LlmModel, MemoryStore, Persistent, Repeatable } from "@llm-cache/core"
import { Effect, Fiber, Latch, Result as EffectResult, Schema, Stream } from "effect"
import { AiError, Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { show } from "../../../testing/src/internal/programs/interpreter.ts"
import type { Sample } from "../../../testing/src/internal/programs/models.ts"
import { keysOf } from "../support/listed.ts"
import { call as toolCall, finish, identity, scripted, text } from "../support/scripted.ts"
import { afterTools, nameOf, order, toolIds } from "./meaning.ts"

const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Path = Schema.Literals(["", "f"])

const CallOf = Schema.Struct({
  /** `left` is a stream that is left after its first part, and `interrupted` one before it. */
  kind: Schema.Literals(["text", "object", "stream", "whole stream", "tools", "left", "interrupted"]),
  prompt: Schema.Literals(["a", "b"]),
  path: Path,
  /** Modulo the height of the stack, 0 is the outermost. */
  level: count(0, 4)
})
export type Call = typeof CallOf.Type

const CallStep = Schema.Struct({ do: Schema.Literal("call"), call: CallOf })

/** Random programs of calls over a stack of combinators, the outermost first. */
export const Programs = Schema.Struct({
  stack: Schema.Array(Schema.Literals(["Independent", "Repeatable", "Persistent"])).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(4)
  ),
  steps: Schema.Array(Schema.Union([
    CallStep,
    CallStep,
    CallStep,
    /** Calls at once, each in a fork of its own. */
    Schema.Struct({
      do: Schema.Literal("calls"),
      calls: Schema.Array(CallOf).check(Schema.isMinLength(1), Schema.isMaxLength(3))
    }),
    /** The next request of a fork fails. */
    Schema.Struct({ do: Schema.Literal("fail"), path: Path }),
    Schema.Struct({ do: Schema.Literal("restart") })
  ])).check(Schema.isMaxLength(10))
})
export type Program = typeof Programs.Type

/** The text of an answer. */
export type Result = string

export interface Outcome {
  readonly steps: ReadonlyArray<{ readonly results: ReadonlyArray<Result>; readonly requests: ReadonlyArray<string> }>
  readonly stores: ReadonlyArray<Record<string, ReadonlyArray<string>>>
}

const Ask = Tool.make("ask", { parameters: Schema.Struct({ of: Schema.String }), success: Schema.String })
const toolkit = Toolkit.make(Ask)
const Answer = Schema.Struct({ of: Schema.String })

/** The name of a request. */
const requestName = ({ prompt: { content }, responseFormat, tools }: LanguageModel.ProviderOptions): string => {
  const texts = content.flatMap((message) =>
    message.role === "user" ? message.content.flatMap((part) => part.type === "text" ? [part.text] : []) : []
  )
  const prompt = texts[0] ?? ""
  if (responseFormat.type === "json") return nameOf("object", prompt)
  if (tools.length === 0) return prompt
  const results = content.flatMap((message) => message.role === "tool" ? message.content : [])
    .flatMap((part) => part.type === "tool-result" ? [String(part.result)] : [])
  if (results.length === 0) return nameOf("tools", prompt)
  const call = content.flatMap((message) => message.role === "assistant" ? message.content : [])
    .find((part) => part.type === "tool-call")
  return afterTools(prompt, (call!.params as typeof Answer.Type).of, results)
}

/** The text of an answer in its parts. */
const textIn = (parts: ReadonlyArray<object>): string =>
  /[^"\\]+@[^"\\]* #\d+/.exec(JSON.stringify(parts))?.[0] ?? "no text"

const failed = AiError.make({
  module: "reference",
  method: "generateText",
  reason: new AiError.InternalProviderError({ description: "down" })
})

const settled = Effect.repeat(Effect.yieldNow, { times: 60 })

/** Runs a program on the library. */
export const execute = Effect.fnUntraced(function*(program: Program) {
  const sold = new Map<string, number>()
  const failures = new Set<string>()
  const requests: Array<string> = []
  let gate = Effect.yieldNow
  const answer = (options: LanguageModel.ProviderOptions) =>
    Effect.gen(function*() {
      const path = (yield* Fork.path).join("/")
      const key = `${requestName(options)}@${path}`
      requests.push(`${key} 1`)
      yield* gate
      if (failures.delete(path)) return yield* failed
      const number = sold.get(key) ?? 0
      sold.set(key, number + 1)
      return `${key} #${number}`
    })
  const provider = scripted((options) =>
    Effect.map(answer(options), (of) =>
      options.responseFormat.type === "json"
        ? [text(JSON.stringify({ of })), finish()]
        : options.tools.length > 0 && options.prompt.content.at(-1)?.role === "user"
        ? [...toolIds.map((id) => toolCall(id, "ask", { of })), finish("tool-calls")]
        : [text(of), finish()]), (options) =>
    Stream.unwrap(Effect.map(answer(options), (of) =>
      Stream.fromIterable([
        { type: "text-start", id: "0" } as const,
        { type: "text-delta", id: "0", delta: of } as const,
        { type: "text-end", id: "0" } as const,
        finish()
      ]).pipe(Stream.rechunk(1), Stream.tap(() => Effect.yieldNow)))))
  const stores = yield* Effect.forEach(program.stack, () => MemoryStore.make)

  const build = Effect.gen(function*() {
    const inner = yield* Effect.provide(LanguageModel.LanguageModel, provider.layer)
    const models = [yield* RequestModel.make(inner, { ...identity, uniqueResponseIds: false })]
    for (const [height, combinator] of [...program.stack.entries()].toReversed()) {
      const beneath = models[0]!
      models.unshift(
        combinator === "Independent"
          ? yield* Independent.make(beneath)
          : combinator === "Repeatable"
          ? yield* Repeatable.make(beneath)
          : yield* Persistent.make(beneath, stores[height]!)
      )
    }
    return {
      models,
      live: yield* CachedModel.make(models[0]!, { forkTools: true }),
      whole: yield* CachedModel.make(models[0]!, { forkTools: true, live: false })
    }
  })

  const prompted = ({ kind, prompt }: Call): Effect.Effect<string, AiError.AiError, LanguageModel.LanguageModel> => {
    const stream = LanguageModel.streamText({ prompt })
    switch (kind) {
      case "text":
        return Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)
      case "object":
        return Effect.map(LanguageModel.generateObject({ prompt, schema: Answer }), ({ value }) => value.of)
      case "stream":
      case "whole stream":
        return Effect.map(Stream.runCollect(stream), textIn)
      case "left":
        // Its first two parts, so that the text can be told.
        return Effect.map(Stream.runCollect(Stream.take(stream, 2)), textIn)
      case "interrupted":
        return Effect.gen(function*() {
          const goOn = Latch.makeUnsafe()
          gate = goOn.await
          const sent = requests.length
          const fiber = yield* Effect.forkChild(Stream.runCollect(stream), { startImmediately: true })
          while (requests.length === sent && fiber.pollUnsafe() === undefined) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          gate = Effect.yieldNow
          yield* goOn.open
          yield* settled
          const exit = yield* Fiber.await(fiber)
          return exit._tag === "Success" ? textIn(exit.value) : "interrupted"
        })
      case "tools":
        return Effect.gen(function*() {
          const chat = yield* Chat.empty
          yield* chat.generateText({ prompt, toolkit })
          return (yield* chat.generateText({ prompt: [], toolkit })).text
        }).pipe(
          Effect.provide(toolkit.toLayer({
            ask: () =>
              LanguageModel.generateText({ prompt: "sub" }).pipe(
                Effect.map(({ text }) => text),
                Effect.orDie
              ) as Effect.Effect<string>
          }))
        )
    }
  }

  const steps: Array<Outcome["steps"][number]> = []
  while (true) {
    // One process.
    yield* Effect.scoped(Effect.gen(function*() {
      const { live, models, whole } = yield* build
      const run = (one: Call, name?: string): Effect.Effect<Result> => {
        const forks = [...one.path === "" ? [] : [one.path], ...name === undefined ? [] : [name]]
        const called = prompted(one).pipe(
          Effect.catchCause(() => Effect.succeed("failed")),
          Effect.provideService(LanguageModel.LanguageModel, one.kind === "whole stream" ? whole : live),
          Effect.provideService(LlmModel.LlmModel, models[one.level % models.length]!)
        )
        return forks.reduceRight((inner, fork) => Fork.fork(inner, fork), called)
      }
      for (let step = program.steps[steps.length]; step !== undefined; step = program.steps[steps.length]) {
        if (step.do === "restart") break
        requests.length = 0
        let results: ReadonlyArray<Result> = []
        if (step.do === "call") results = [yield* run(step.call)]
        else if (step.do === "fail") failures.add(step.path)
        else {
          // An interruption holds up all requests.
          const concurrency = step.calls.some(({ kind }) => kind === "interrupted") ? 1 : "unbounded"
          results = yield* Effect.forEach(step.calls, (one, i) => run(one, String(i)), { concurrency })
        }
        yield* settled
        steps.push({ results, requests: requests.toSorted(order) })
      }
    }))
    if (program.steps[steps.length] === undefined) break
    steps.push({ results: [], requests: [] })
  }

  const stored = yield* Effect.forEach(
    stores.filter((_, i) => program.stack[i] === "Persistent"),
    Effect.fnUntraced(function*(store) {
      const all = new Map<string, Map<number, Sample>>()
      for (const key of yield* keysOf(store)) {
        for (const position of yield* store.positions(key)) {
          const { origins, text } = (yield* store.get(key, position))!
          const parts = ModelAnswer.toParts(EffectResult.getOrThrow(ModelAnswer.decode(text)))
          const told = textIn(parts)
          const name = told.slice(0, told.lastIndexOf(" #"))
          all.set(name, (all.get(name) ?? new Map()).set(position, { text: told, origins }))
        }
      }
      return show(all)
    })
  )
  return { steps, stores: stored }
})
