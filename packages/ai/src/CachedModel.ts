/**
 * A `LanguageModel` that answers with samples of the nearest `LlmModel`: caches, forks, attempts and audits of
 * `@llm-cache/core` work around `generateText`, `generateObject`, `streamText`, `Chat` and toolkits.
 *
 * **Details**
 *
 * The cache is above the provider and below the tools: handlers run in every run, and the answers of the model replay. Each
 * call draws from the `LlmModel` of its fiber, so `Effect.provide(Repeatable.layer)` around a call works. The stack beneath
 * ends with `RequestModel`.
 *
 * Results of tools that ran at once are sent in the order of their calls, so that the next request is the same in every run.
 *
 * An object that cannot be decoded is a sample, and so fails again under `Repeatable` and may not under `Independent`. An
 * answer with an `error` part or with the finish reason `error`, and a stream without a `finish` part, are failures, and are
 * not recorded.
 *
 * **Gotchas**
 *
 * Tools that run at once and ask models draw in the order in which they come. Give `forkTools` to have such programs replay.
 *
 * @since 0.1.0
 */
import * as Fork from "@llm-cache/core/Fork"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type * as SampleError from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import { ResponseIdTracker } from "effect/ai/ResponseIdTracker"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { toAiError } from "./internal/aiErrors.ts"
import { CurrentAnswer, makeReplayedCodecs, replayedError } from "./internal/currentAnswer.ts"
import { CurrentRequest, type Prepared } from "./internal/currentRequest.ts"
import { drawingFor, makeStreams } from "./internal/streams.ts"
import { inOrderOfCalls } from "./internal/toolResults.ts"
import { findUndeclaredCall } from "./internal/undeclaredCall.ts"
import { typedAs, untyped } from "./internal/untyped.ts"
import * as ModelAnswer from "./ModelAnswer.ts"
import * as ModelRequest from "./ModelRequest.ts"

/**
 * How a cached model asks.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The services of settings that a program changes for some calls, such as `OpenAiLanguageModel.Config` for
   * `withConfigOverride`. Their values at a call are part of its key.
   *
   * @default none
   */
  readonly config?: ReadonlyArray<{ readonly key: string }> | undefined
  /**
   * Whether the parts of a stream are shown as they come from the provider. If not, they are shown when the answer is
   * complete and recorded, as they are over a model that leaves samples out, such as a cache with `excludeFinishReasons`.
   *
   * @default true
   */
  readonly live?: boolean | undefined
  /**
   * The end of a live stream's request after the program leaves the stream: `"finish"` lets it end, and records it, if the
   * cache is open until then or has `onClose: "finish"`; `"abort"` ends it, and records nothing.
   *
   * @default "finish"
   */
  readonly whenAbandoned?: "finish" | "abort" | undefined
  /**
   * Whether each call of a tool runs in a fork of its own, named by the id of the call, so that models which tools ask
   * at once replay. A second call with the same id in one answer has a fork with a number.
   *
   * @default false
   */
  readonly forkTools?: boolean | undefined
  /**
   * What the model says of system messages behind the first message. A program that asks for it has the same answer in
   * replication, where no provider gives one.
   *
   * @default unknown, whatever the provider says
   */
  readonly supportsSystemMessagesInHistory?: Effect.Effect<boolean> | undefined
}

/**
 * Makes a cached model. `model` answers calls without an `LlmModel` in their context. Streams that programs have left end
 * with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  model: LlmModel.Model,
  options: Options = {}
): Effect.fn.Return<LanguageModel.LanguageModel, never, Scope.Scope> {
  const { config = [], forkTools = false, supportsSystemMessagesInHistory } = options
  const encode = ModelRequest.makeEncoder()
  const scope = yield* Effect.scope

  // Without generators: row `ai-text` of the benchmark.
  const prepare = (options: LanguageModel.ProviderOptions): Effect.Effect<Prepared, SampleError.SampleError> =>
    Effect.contextWith((context: Context.Context<never>) => {
      const nearest = Context.getOrUndefined(context, LlmModel.LlmModel) ?? model
      if (!isOfRequests(nearest)) return ofTexts(nearest)
      const settings: Record<string, unknown> = {}
      for (const key of config) {
        const value = Context.getOrUndefined(context, key as Context.Key<never, unknown>)
        if (value !== undefined) settings[key.key] = value
      }
      const normalized = { ...options, prompt: inOrderOfCalls(options.prompt) }
      return Effect.map(encode({ ...normalized, settings }), (text) => ({
        model: nearest,
        request: { text, options: normalized, settings, context, stream: undefined }
      }))
    })

  const generateText = (options: LanguageModel.ProviderOptions) => {
    const method = options.responseFormat.type === "json" ? "generateObject" : "generateText"
    return Effect.flatMap(
      prepare(options),
      (prepared) => Effect.flatMap(draw(prepared), (text) => read(prepared.model, text))
    ).pipe(
      Effect.flatMap((answer) =>
        Effect.flatMap(CurrentAnswer, (cell) => {
          if (cell !== undefined) cell.object = answer.object
          const parts = ModelAnswer.toParts(answer)
          const undeclared = findUndeclaredCall(options, "generateText", parts)
          return undeclared === undefined ? Effect.succeed(parts) : Effect.fail(undeclared.error)
        })
      ),
      Effect.mapError((error) => AiError.isAiError(error) ? error : toAiError(method, error))
    )
  }

  const streamText = makeStreams({
    isLive: options.live ?? true,
    whenAbandoned: options.whenAbandoned ?? "finish",
    scope,
    prepare,
    draw,
    read
  })

  const made = yield* LanguageModel.make({
    generateText,
    streamText,
    codecTransformer: makeReplayedCodecs(),
    supportsSystemMessagesInHistory
  })
  const inner = untyped(made)
  const prepared = forkTools ? withForkedTools : identity<object>
  return typedAs(made, {
    generateText: (options) => Effect.updateContext(inner.generateText(prepared(options)), withoutTracker),
    streamText: (options) => Stream.updateContext(drawingFor(inner.streamText(prepared(options))), withoutTracker),
    generateObject: (options) =>
      Effect.suspend(() => {
        const cell: { object?: ModelAnswer.AnswerObject | undefined } = {}
        return inner.generateObject(prepared(options)).pipe(
          Effect.mapError((error) => replayedError(error, cell.object)),
          Effect.provideService(CurrentAnswer, cell),
          Effect.updateContext(withoutTracker)
        )
      })
  })
})

// A provider may not know the ids of recorded responses any more. So they are in no tracker, and prompts are sent whole.
const withoutTracker = (context: Context.Context<never>): Context.Context<never> =>
  context.mapUnsafe.has(ResponseIdTracker.key)
    ? Context.omit(ResponseIdTracker)(context as Context.Context<ResponseIdTracker>)
    : context

const draw = ({ model, request }: Prepared): Effect.Effect<string, SampleError.SampleError> =>
  Effect.updateContext(
    LlmModel.sampleOne(request.text),
    (context: Context.Context<never>) =>
      Context.add(Context.add(context, LlmModel.LlmModel, model), CurrentRequest, request)
  )

const read = (model: LlmModel.Model, text: string): Effect.Effect<ModelAnswer.Answer, InvalidInput> =>
  Result.match(ModelAnswer.decode(text), {
    onSuccess: Effect.succeed,
    onFailure: (reason) =>
      Effect.fail(
        new InvalidInput({
          module: "CachedModel",
          description: `a sample of ${model.identity.name} is no answer to a request: ${reason}. ` +
            "Remove it from the cache, or use the package that wrote it"
        })
      )
  })

const isOfRequests = (model: LlmModel.Model): boolean =>
  model.identity.parameters.includes(`"request":"${ModelRequest.version}"`)

const ofTexts = (model: LlmModel.Model) =>
  Effect.fail(
    new InvalidInput({
      module: "CachedModel",
      description: `the nearest \`LlmModel\` of the call, ${model.identity.name}, is a model of texts: ` +
        "provide a stack that ends with `RequestModel` nearer to the call, or, in replication, `RequestModel.identity`"
    })
  )

/** A toolkit. The types of its handlers are those of the program. */
interface AnyToolkit {
  readonly tools: object
  readonly handle: (name: string, params: unknown, id?: string, options?: unknown) => Effect.Effect<unknown>
}

const withForkedTools = (
  options: { readonly toolkit?: AnyToolkit | Effect.Effect<AnyToolkit> | undefined }
): object => {
  const { toolkit } = options
  if (toolkit === undefined) return options
  return { ...options, toolkit: Effect.map(Effect.isEffect(toolkit) ? toolkit : Effect.succeed(toolkit), forking) }
}

const forking = ({ handle, tools }: AnyToolkit): AnyToolkit => {
  // Some servers give two calls of an answer one id.
  const calls = new Map<string, number>()
  return {
    tools,
    handle: (name, params, id, options) => {
      const fork = `tool ${name} ${id}`
      const count = (calls.get(fork) ?? 0) + 1
      calls.set(fork, count)
      return Fork.fork(handle(name, params, id, options), count === 1 ? fork : `${fork} ${count}`)
    }
  }
}

/**
 * Provides a `LanguageModel` that answers with samples of the nearest `LlmModel`.
 *
 * **Details**
 *
 * Merge its `LlmModel` into the program (`Layer.provideMerge`), so that `Repeatable`, `Independent` and attempts in the program
 * find it.
 *
 * **Example** (An agent that is retried, and replays)
 *
 * ```ts
 * import { CachedModel, RequestModel } from "@llm-cache/ai"
 * import { Attempt, Independent, Persistent } from "@llm-cache/core"
 * import { Effect, Layer, Schema } from "effect"
 * import { LanguageModel } from "effect/ai"
 *
 * declare const provider: Layer.Layer<LanguageModel.LanguageModel>
 *
 * const model = CachedModel.layer().pipe(
 *   Layer.provideMerge(Persistent.layer({ directory: "~/.llm_cache" })),
 *   Layer.provide(RequestModel.layer({ model: "gpt-4o", temperature: 0.7 })),
 *   Layer.provide(provider)
 * )
 *
 * const attempt = LanguageModel.generateObject({
 *   prompt: "Ada Lovelace was born in 1815.",
 *   schema: Schema.Struct({ name: Schema.String, born: Schema.Int })
 * })
 *
 * const agent = attempt.pipe(
 *   Attempt.retry({ times: 5 }),
 *   Effect.provide(Independent.layer),
 *   Effect.provide(model)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<LanguageModel.LanguageModel, never, LlmModel.LlmModel> =>
  // Fresh: one constant over two models is two models.
  Layer.fresh(
    Layer.effect(LanguageModel.LanguageModel, Effect.flatMap(LlmModel.LlmModel, (model) => make(model, options)))
  )
