/**
 * A scripted `LanguageModel` of Effect for tests: it answers with texts, tool calls, objects and streams from a list or a function, and
 * records its requests.
 *
 * **When to use**
 *
 * Use it in the tests of a program with tools, structured objects, chats or streams. For programs that sample texts, use `TestModel`.
 * Import it by its path, `@llm-cache/testing/TestLanguageModel`: it loads `effect/ai`.
 *
 * **Example** (Test an agent with a tool)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import * as TestLanguageModel from "@llm-cache/testing/TestLanguageModel"
 * import { Effect, Schema } from "effect"
 * import { Chat, Tool, Toolkit } from "effect/ai"
 *
 * const tools = Toolkit.make(
 *   Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })
 * )
 *
 * const agent = Effect.gen(function*() {
 *   const chat = yield* Chat.empty
 *   let answer = yield* chat.generateText({ prompt: "How is the weather in Rome?", toolkit: tools })
 *   while (answer.finishReason === "tool-calls") answer = yield* chat.generateText({ prompt: [], toolkit: tools })
 *   return answer.text
 * }).pipe(Effect.provide(tools.toLayer({ weather: ({ city }) => Effect.succeed(`sunny in ${city}`) })))
 *
 * it.effect("asks the tool, and answers with its result", () =>
 *   Effect.gen(function*() {
 *     assert.strictEqual(yield* agent, "It is sunny.")
 *     const { requests } = yield* TestLanguageModel.TestLanguageModel
 *     assert.include(requests[1]?.text, "sunny in Rome")
 *   }).pipe(Effect.provide(TestLanguageModel.layer({
 *     script: [TestLanguageModel.toolCall("weather", { city: "Rome" }), "It is sunny."]
 *   }))))
 * ```
 *
 * @since 0.1.0
 */
import * as Fork from "@llm-cache/core/Fork"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { failUnused } from "./internal/failUnused.ts"
import { finishOf, type Piece, textOf, toStream, toWhole, withFinish } from "./internal/languageModelParts.ts"
import { fromList } from "./internal/languageModelScripts.ts"
import { checked, unknownTool } from "./internal/unknownTool.ts"

/**
 * A request that the test model received.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly prompt: Prompt.Prompt
  /** The last message: its texts, or the results of tools as JSON. */
  readonly text: string
  /** The names of the tools. */
  readonly tools: ReadonlyArray<string>
  readonly toolChoice: LanguageModel.ProviderOptions["toolChoice"]
  /** The name of the object, if one is asked for. */
  readonly objectName: string | undefined
  readonly isStreamed: boolean
  /** The request as a provider gets it. */
  readonly options: LanguageModel.ProviderOptions
  /** The fork of the request, the outermost name first. */
  readonly path: ReadonlyArray<string>
}

/**
 * A part of an answer: a part of Effect's `Response`, or a text in chunks.
 *
 * @category models
 * @since 0.1.0
 */
export type Part = Piece

/**
 * An answer: a text, parts, an error, or an effect, which may wait. Without a part `finish` it ends with `stop`, or with `tool-calls`.
 * An error behind parts breaks a stream off there. A stream is passed on as it is.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = Content | Effect.Effect<Content, AiError.AiError>

type Content =
  | string
  | Part
  | ReadonlyArray<Part | AiError.AiError>
  | AiError.AiError
  | Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
  | Exactly

interface Exactly {
  readonly exactly: ReadonlyArray<Part>
}

/**
 * A function that answers each request. It also gets the number of requests before this one. `prompts` makes one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Script {
  (request: Request, index: number): Answer
  /** The unused parts, for people. */
  readonly unused?: (() => ReadonlyArray<string>) | undefined
}

/**
 * Options of a test model.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * A list of answers in the order of use, which dies when it is used up, or a function.
   *
   * @default the text `answer`, and the number of requests before
   */
  readonly script?: ReadonlyArray<Answer> | Script
  /**
   * The time before each answer, and before each chunk of a stream, on the clock of the test.
   *
   * @default no time
   */
  readonly latency?: Duration.Input
  /**
   * Whether `layer` dies when it closes after a success, if the program did not use the whole script.
   *
   * @default "ignore"
   */
  readonly unused?: "fail" | "ignore"
  /**
   * How the provider changes schemas, as in `LanguageModel.make`.
   *
   * @default not at all
   */
  readonly codecTransformer?: LanguageModel.CodecTransformer | undefined
  /**
   * Whether the provider takes system messages behind others, as in `LanguageModel.make`.
   *
   * @default as in `LanguageModel.make`
   */
  readonly supportsSystemMessagesInHistory?: Effect.Effect<boolean> | undefined
}

/**
 * The record of a test model.
 *
 * @category services
 * @since 0.1.0
 */
export class TestLanguageModel extends Context.Service<TestLanguageModel, {
  /** Every request, first to last. */
  readonly requests: Array<Request>
  /** The unused parts of the script. */
  readonly unused: ReadonlyArray<string>
}>()("@llm-cache/testing/TestLanguageModel") {}

// -----------------------------------------------------------------------------
// answers
// -----------------------------------------------------------------------------

/**
 * A text. A stream has a delta for each chunk.
 *
 * @category answers
 * @since 0.1.0
 */
export const text = (...chunks: ReadonlyArray<string>): Part => ({ type: "text", text: chunks.join(""), chunks })

/**
 * The reasoning before an answer. A stream has a delta for each chunk.
 *
 * @category answers
 * @since 0.1.0
 */
export const reasoning = (...chunks: ReadonlyArray<string>): Part => ({
  type: "reasoning",
  text: chunks.join(""),
  chunks
})

/** The id of a call that the model numbers. */
const unnumbered = ""

/**
 * A call of a tool. Several in one answer run at once. Without an `id`, the model numbers its calls: `call-0`, `call-1`, ….
 *
 * @category answers
 * @since 0.1.0
 */
export const toolCall = (name: string, params: unknown, id?: string): Part => ({
  type: "tool-call",
  id: id ?? unnumbered,
  name,
  params
})

/**
 * The answer to `generateObject`: a value as JSON.
 *
 * @category answers
 * @since 0.1.0
 */
export const object = (value: unknown): Part => text(JSON.stringify(value))

/**
 * The end of an answer, for other reasons and counts of tokens than usual.
 *
 * @category answers
 * @since 0.1.0
 */
export const finish: (
  reason?: Response.FinishReason,
  tokens?: { readonly input?: number; readonly output?: number }
) => Part = finishOf

/**
 * The parts of an answer as they are, also without a part `finish`, as a faulty provider may send them.
 *
 * @category answers
 * @since 0.1.0
 */
export const exactly = (...parts: ReadonlyArray<Part>): Exactly => ({ exactly: parts })

/**
 * The answer of a model that refuses: the words of the refusal, and the finish reason `content-filter`.
 *
 * @category answers
 * @since 0.1.0
 */
export const refusal = (words: string): ReadonlyArray<Part> => [text(words), finish("content-filter")]

/**
 * An answer that was cut short: its text, and the finish reason `length`.
 *
 * @category answers
 * @since 0.1.0
 */
export const cutShort = (...chunks: ReadonlyArray<string>): ReadonlyArray<Part> => [text(...chunks), finish("length")]

/**
 * An error for scripts: the provider is down. A retry may succeed.
 *
 * @category errors
 * @since 0.1.0
 */
export const serverFault: AiError.AiError = AiError.make({
  module: "TestLanguageModel",
  method: "generateText",
  reason: new AiError.InternalProviderError({ description: "the test model is down" })
})

export { prompts } from "./internal/languageModelScripts.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * Makes a test model.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { codecTransformer, latency, script, supportsSystemMessagesInHistory }: Options = {}
): Effect.Effect<{ readonly model: LanguageModel.LanguageModel; readonly record: TestLanguageModel["Service"] }> =>
  Effect.gen(function*() {
    const requests: Array<Request> = []
    let calls = 0
    const answerTo: Script = typeof script === "function"
      ? script
      : script === undefined
      ? (_, index) => `answer ${index}`
      : fromList(script)
    const wait = latency === undefined ? Effect.void : Effect.sleep(latency)
    const ask = Effect.fnUntraced(function*(
      options: LanguageModel.ProviderOptions,
      isStreamed: boolean
    ): Effect.fn.Return<Content, AiError.AiError> {
      const { prompt, responseFormat, toolChoice, tools } = options
      const request: Request = {
        prompt,
        text: textOf(prompt),
        tools: tools.map(({ name }) => name),
        toolChoice,
        objectName: responseFormat.type === "json" ? responseFormat.objectName : undefined,
        isStreamed,
        options,
        path: yield* Fork.path
      }
      const index = requests.push(request) - 1
      yield* wait
      const answer = answerTo(request, index)
      const content = isEffect(answer) ? yield* answer : answer
      return content instanceof AiError.AiError ? yield* content : content
    })
    /** The parts of an answer up to an error, and the error. */
    const partsOf = (content: Exclude<Content, Stream.Stream<unknown, unknown>>) => {
      const answered = typeof content === "string"
        ? [text(content)]
        : "exactly" in content
        ? content.exactly
        : "type" in content
        ? [content]
        : Array.isArray(content)
        ? content as ReadonlyArray<Part | AiError.AiError>
        : []
      const at = answered.findIndex((part) => part instanceof AiError.AiError)
      const error = answered[at] as AiError.AiError | undefined
      const before = (at === -1 ? answered : answered.slice(0, at)) as ReadonlyArray<Part>
      const parts = before.map((part) =>
        part.type === "tool-call" && part.id === unnumbered ? { ...part, id: `call-${calls++}` } : part
      )
      const isExact = error !== undefined || (typeof content === "object" && "exactly" in content)
      return { parts: isExact ? parts : withFinish(parts), error }
    }
    const model = yield* LanguageModel.make({
      codecTransformer,
      supportsSystemMessagesInHistory,
      generateText: (options) =>
        Effect.gen(function*() {
          const content = yield* ask(options, false)
          const { error, parts } = Stream.isStream(content)
            ? { parts: yield* Stream.runCollect(content), error: undefined }
            : partsOf(content)
          const refused = parts.map((part) => unknownTool(options, "generateText", part)).find((error) => error)
          if (error !== undefined || refused !== undefined) return yield* (error ?? refused!)
          return toWhole(parts)
        }),
      streamText: (options) =>
        Stream.unwrap(Effect.map(ask(options, true), (content) => {
          if (Stream.isStream(content)) return checked(options, content)
          const { error, parts } = partsOf(content)
          return checked(options, Stream.fromIterable(toStream(parts))).pipe(
            Stream.rechunk(1),
            Stream.tap(() => wait),
            Stream.concat(error === undefined ? Stream.empty : Stream.fail(error))
          )
        }))
    })
    return {
      model,
      record: {
        requests,
        get unused() {
          return answerTo.unused?.() ?? []
        }
      }
    }
  })

/**
 * Provides a test model: `LanguageModel` for the program, `TestLanguageModel` for the assertions.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<LanguageModel.LanguageModel | TestLanguageModel> =>
  Layer.effectContext(
    Effect.gen(function*(): Effect.fn.Return<
      Context.Context<LanguageModel.LanguageModel | TestLanguageModel>,
      never,
      Scope.Scope
    > {
      const { model, record } = yield* make(options)
      yield* failUnused(record, options.unused)
      return Context.make(LanguageModel.LanguageModel, model).pipe(Context.add(TestLanguageModel, record))
    })
  )

// An `AiError` is an effect too, which fails with itself.
const isEffect = (answer: Answer): answer is Effect.Effect<Content, AiError.AiError> =>
  Effect.isEffect(answer) && !Stream.isStream(answer) && !(answer instanceof AiError.AiError)
