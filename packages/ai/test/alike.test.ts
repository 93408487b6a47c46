import { assert, describe, it } from "@effect/vitest"
import { MemoryStore } from "@llm-cache/core"
import { Cause, Effect, Exit, Ref, Schema, Stream } from "effect"
import { AiError, IdGenerator, LanguageModel, type Response, Tool, Toolkit } from "effect/ai"
import { samplesOf } from "./support/listed.ts"
import { cached, call, replayed, scripted, usage } from "./support/scripted.ts"

const runs = Number(process.env["LLM_CACHE_ALIKE_RUNS"] ?? 50)

// -----------------------------------------------------------------------------
// tools
// -----------------------------------------------------------------------------

const parameters = Schema.Struct({ city: Schema.String, days: Schema.optionalKey(Schema.FiniteFromString) })
const failure = Schema.Struct({ why: Schema.String })
const Weather = Tool.make("weather", { parameters, success: Schema.DateTimeUtcFromString })
const Failing = Tool.make("failing", { parameters, failure, success: Schema.Int })
const Telling = Tool.make("telling", { parameters, failure, failureMode: "return", success: Schema.Int })
const Asking = Tool.make("asking", { parameters, success: Schema.Int, needsApproval: true })
const Broken = Tool.make("broken", { parameters, success: Schema.Int })
const toolkit = Toolkit.make(Weather, Failing, Telling, Asking, Broken)

const handlers = (log: Ref.Ref<ReadonlyArray<string>>) =>
  toolkit.toLayer({
    weather: ({ city, days }) =>
      Effect.as(
        Ref.update(log, (all) => [...all, `weather ${city} ${days}`]),
        Schema.decodeUnknownSync(Schema.DateTimeUtcFromString)("2026-01-02T03:04:05.000Z")
      ),
    failing: ({ city }) =>
      Effect.andThen(Ref.update(log, (all) => [...all, `failing ${city}`]), Effect.fail({ why: city })),
    telling: ({ city }) =>
      Effect.andThen(Ref.update(log, (all) => [...all, `telling ${city}`]), Effect.fail({ why: city })),
    asking: () => Effect.die("asked without approval"),
    broken: ({ city }) =>
      Effect.andThen(Ref.update(log, (all) => [...all, `broken ${city}`]), Effect.die(new Error(city)))
  })

// -----------------------------------------------------------------------------
// random answers
// -----------------------------------------------------------------------------

const Text = Schema.Literals(["", "a", "\u2028 \ud83d\ude00\r\n", "{\"a\":1,\"b\":[]}", "{\"a\":\"1\"}", "null"])

/** An index in a list, modulo its length. */
const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
const at = <A>(list: ReadonlyArray<A>, i: number) => list[i % list.length]

const metadatas = [undefined, undefined, { p: { signature: "s" } }, { p: { n: [1, null] }, q: null }]
const params = [{ city: "Rome" }, { days: "3", city: "Oslo" }, { city: 1 }, {}, "no object", null]
const toolChoices = [undefined, "auto", "none", "required", { tool: "weather" }, { mode: "auto", oneOf: ["weather"] }]
const Id = Schema.Literals(["0", "1"])

const Call = Schema.Struct({
  part: Schema.Literal("call"),
  id: Schema.Literals(["c1", "c2", "c3"]),
  name: Schema.Literals(["weather", "weather", "failing", "telling", "asking", "broken", "unknown"]),
  params: Index,
  providerExecuted: Schema.Boolean,
  metadata: Index
})

const Other = Schema.Struct({
  part: Schema.Literals(["response-metadata", "file", "source", "url"]),
  metadata: Index
})

const Finish = Schema.Struct({
  part: Schema.Literal("finish"),
  reason: Schema.Literals(["stop", "length", "tool-calls", "content-filter", "pause", "other", "unknown"])
})

const Whole = Schema.Struct({ part: Schema.Literals(["text", "reasoning"]), text: Text, metadata: Index })

const Piece = Schema.Struct({
  part: Schema.Literals(["text", "reasoning", "tool-params"]),
  step: Schema.Literals(["start", "delta", "delta", "end"]),
  id: Id,
  delta: Text,
  metadata: Index
})

type AnyPart = typeof Call.Type | typeof Other.Type | typeof Finish.Type | typeof Whole.Type | typeof Piece.Type

const withMetadata = <P extends object>(part: P, i: number) => {
  const metadata = at(metadatas, i)
  return metadata === undefined ? part : { ...part, metadata }
}

const encoded = (one: AnyPart): object => {
  switch (one.part) {
    case "call":
      return withMetadata(
        {
          ...call(one.id, one.name, at(params, one.params)),
          ...one.providerExecuted ? { providerExecuted: true } : {}
        },
        one.metadata
      )
    case "finish":
      return { type: "finish", reason: one.reason, usage: usage() }
    case "response-metadata":
      return withMetadata(
        { type: one.part, id: "r", modelId: "m", timestamp: "2026-01-02T03:04:05.000Z" },
        one.metadata
      )
    case "file":
      return withMetadata({ type: "file", mediaType: "image/png", data: "AAEC" }, one.metadata)
    case "source":
      return withMetadata(
        { type: "source", sourceType: "document", id: "d", mediaType: "text/plain", title: "t" },
        one.metadata
      )
    case "url":
      return withMetadata(
        { type: "source", sourceType: "url", id: "u", url: "https://example.org/a", title: "t" },
        one.metadata
      )
    case "reasoning":
    case "text":
    case "tool-params":
      return "step" in one
        ? withMetadata({
          type: `${one.part}-${one.step}`,
          id: one.id,
          ...one.step === "delta" ? { delta: one.delta } : {},
          ...one.part === "tool-params" && one.step === "start" ? { name: "weather" } : {}
        }, one.metadata)
        : withMetadata({ type: one.part, text: one.text }, one.metadata)
  }
}

const Options = Schema.Struct({
  toolChoice: Index,
  disableToolCallResolution: Schema.Boolean,
  toolCallValidation: Schema.Literals(["strict", "deferred"]),
  concurrency: Schema.Literals([1, 2, "unbounded"])
})

const callOptions = ({ toolChoice, ...options }: typeof Options.Type) =>
  ({ prompt: "x", toolkit, toolChoice: at(toolChoices, toolChoice), ...options }) as never

// -----------------------------------------------------------------------------
// what a program sees
// -----------------------------------------------------------------------------

/** An error as a program can tell it from others. The place of what is wrong in a provider's output is not the same. */
const shownError = (error: unknown) => {
  if (!AiError.isAiError(error)) return error
  const { isRetryable, message, method, module, reason } = error
  return { isRetryable, method, module, tag: reason._tag, ...reason._tag === "InvalidOutputError" ? {} : { message } }
}

const shown = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit)
    ? exit.value
    : exit.cause.reasons.map((reason) =>
      Cause.isFailReason(reason)
        ? shownError(reason.error)
        : Cause.isDieReason(reason)
        ? String(reason.defect)
        : reason._tag
    )

/**
 * Checks that a program sees the same from the bare model, from a cached one, and in a replay; the handlers' calls too. An
 * answer that no model may give is an error of the request, and has no replay.
 */
const alike = Effect.fnUntraced(function*<A, E>(
  program: Effect.Effect<A, E, LanguageModel.LanguageModel | Tool.HandlersFor<typeof toolkit.tools>>,
  provider: ReturnType<typeof scripted>
) {
  const run = Effect.fnUntraced(function*<E2>(model: Parameters<typeof cached<E2>>[0]) {
    const log = yield* Ref.make<ReadonlyArray<string>>([])
    let ids = 0
    const exit = yield* program.pipe(
      Effect.provide(handlers(log)),
      Effect.provide(model),
      Effect.provideService(IdGenerator.IdGenerator, { generateId: () => Effect.sync(() => `id ${ids++}`) }),
      Effect.exit
    )
    return { calls: yield* Ref.get(log), shown: shown(exit) }
  })
  const store = yield* MemoryStore.make
  const bare = yield* run(provider.layer)
  const agrees = (name: string, ours: typeof bare) =>
    assert.deepStrictEqual(ours, bare, `${name} ${JSON.stringify(ours)} for ${JSON.stringify(bare)}`)
  const first = yield* run(cached(provider.layer, { store }))
  if ((yield* samplesOf(store)).length > 0) {
    agrees("cached", first)
    return agrees("replayed", yield* run(replayed(store)))
  }
  assert.include(JSON.stringify(first), "InvalidOutputError")
  // A bare provider says that a tool is unknown before the answer is read.
  if (!JSON.stringify(bare).includes("ToolNotFoundError")) agrees("cached", first)
})

const limits = { arbitrary: { runs }, timeout: 30_000 + runs * 50 }

describe("a program sees the same from the bare model, from a cached one and in a replay", () => {
  const Parts = Schema.Array(Schema.Union([Whole, Call, Other, Finish])).check(Schema.isMaxLength(6))

  it.effect.prop("in texts and calls of tools", { options: Options, parts: Parts }, ({ options, parts }) => {
    const provider = scripted(() => parts.map(encoded) as ReadonlyArray<Response.PartEncoded>)
    const program = LanguageModel.generateText(callOptions(options)) as Effect.Effect<
      LanguageModel.GenerateTextResponse<{}>,
      AiError.AiError,
      LanguageModel.LanguageModel | Tool.HandlersFor<typeof toolkit.tools>
    >
    return alike(Effect.map(program, ({ content, finishReason, text }) => ({ content, finishReason, text })), provider)
  }, limits)

  it.effect.prop("in objects", { parts: Parts }, ({ parts }) => {
    const provider = scripted(() => parts.map(encoded) as ReadonlyArray<Response.PartEncoded>)
    const schema = Schema.Struct({ a: Schema.Int, b: Schema.Array(Schema.String) })
    return alike(
      Effect.map(
        LanguageModel.generateObject({ prompt: "x", schema }),
        ({ content, value }) => ({ content, value })
      ),
      provider
    )
  }, limits)

  it.effect.prop("in streams", {
    options: Options,
    parts: Schema.Array(Schema.Union([Piece, Piece, Call, Other])).check(Schema.isMaxLength(10)),
    finish: Finish
  }, ({ finish, options, parts }) => {
    // A part of a wrong form hides the others of its chunk, so an answer with a provider's own calls comes part by part. The
    // time between two parts decides whether a handler starts, so other calls come with all parts.
    const isExecuted = parts.some((part) => part.part === "call" && part.providerExecuted)
    const given = isExecuted ? parts.filter((part) => part.part !== "call" || part.providerExecuted) : parts
    const provider = scripted(
      undefined,
      () =>
        Stream.rechunk(
          Stream.fromIterable([...given, finish].map(encoded) as ReadonlyArray<Response.StreamPartEncoded>),
          isExecuted ? 1 : 100
        )
    )
    const program = LanguageModel.streamText(callOptions(options)) as Stream.Stream<
      Response.AnyPart,
      AiError.AiError,
      LanguageModel.LanguageModel | Tool.HandlersFor<typeof toolkit.tools>
    >
    const seen: Array<unknown> = []
    return alike(
      Effect.suspend(() => {
        seen.length = 0
        return Effect.exit(Stream.runForEach(program, (part) => Effect.sync(() => seen.push(part))))
      }).pipe(Effect.map((exit) => ({ exit: shown(exit), seen: [...seen] }))),
      provider
    )
  }, limits)
})
