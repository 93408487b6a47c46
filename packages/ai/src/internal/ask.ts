import type * as Identity from "@llm-cache/core/Identity"
import type { Json } from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as SampleError from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import { ResponseIdTracker } from "effect/ai/ResponseIdTracker"
import { CurrentSpanTransformer } from "effect/ai/Telemetry"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as ModelAnswer from "../ModelAnswer.ts"
import { toProviderError } from "./aiErrors.ts"
import { type Check, checkSettings } from "./checkSettings.ts"
import { CurrentRequest, type DrawRequest } from "./currentRequest.ts"
import { encodePart } from "./encodePart.ts"
import { NoJson } from "./json.ts"
import { Abandoned, type LiveStream } from "./liveStream.ts"
import { hasUsage, type Told } from "./toldSpan.ts"
import { type Untyped, untyped } from "./untyped.ts"

type Answered = Effect.Effect<ModelAnswer.Answer, AiError.AiError | SampleError.SampleError>

/** Asks an inner model for the answer to the request that a draw is for. */
export const ask = (model: LanguageModel.LanguageModel, identity: Identity.Options, check: Check) => {
  const inner = untyped(model)
  const provider = identity.alias ?? identity.model
  const generate = Effect.fnUntraced(function*(request: DrawRequest): Effect.fn.Return<
    LlmModel.Generation,
    AiError.AiError | SampleError.SampleError
  > {
    const told: { last?: Told } = {}
    const context = innerContext(request.context, yield* Effect.context(), told)
    const { stream } = request
    const token = {}
    const answered: Answered = stream !== undefined
      ? askStream(inner, request, stream, token)
      : request.options.responseFormat.type === "json"
      ? askObject(inner, request, request.options.responseFormat, told)
      : askText(inner, request)
    const answer = yield* Effect.updateContext(answered, (_: Context.Context<never>) => context)
    if (told.last !== undefined) yield* checkSettings(told.last.span, identity, request.settings, check)
    const failed = failureOf(answer)
    if (failed !== undefined) return yield* failed
    const generation = ModelAnswer.toGeneration(answer)
    stream?.complete(token, ModelAnswer.encode(answer))
    return told.last !== undefined && hasUsage(told.last.span) ? { ...generation, isUsageTraced: true } : generation
  })

  return ({ prompt }: LlmModel.GenerateRequest): Effect.Effect<LlmModel.Generation, SampleError.SampleError> =>
    Effect.withFiber((fiber) => {
      const request = fiber.getRef(CurrentRequest)
      if (request?.text !== prompt) return Effect.fail(byHand(provider))
      const { stream } = request
      if (stream?.hasShown) return Effect.fail(alreadyShown())
      return Effect.mapError(
        generate(request),
        // After its first part a stream cannot start again.
        (error) => AiError.isAiError(error) ? toProviderError(provider, error, stream?.hasShown) : error
      )
    })
}

const byHand = (provider: string) =>
  SampleError.providerError("BadRequest", {
    provider,
    description: "a model of requests answers only to `LanguageModel`: call `generateText`, `generateObject` or " +
      "`streamText` with the layer `CachedModel`, or use `TextModel` for prompts that are texts"
  })

const alreadyShown = () =>
  new InvalidInput({
    module: "CachedModel",
    description: "a live stream has shown an answer, and a model in between asks for another one: give that model " +
      "`leavesSamplesOut`, or `CachedModel.layer` the option `live: false`"
  })

// The program's own settings are to win, as they are in the key. The caching model above has its own transformer and tracker.
const innerContext = (
  caller: Context.Context<never>,
  current: Context.Context<never>,
  told: { last?: Told }
): Context.Context<never> =>
  caller.pipe(
    Context.omit(ResponseIdTracker, LlmModel.LlmModel),
    Context.merge(Context.pick(Tracer.ParentSpan)(current as Context.Context<Tracer.ParentSpan>)),
    Context.add(CurrentSpanTransformer, (options) => {
      told.last = options
    })
  ) as Context.Context<never>

const deferred = { disableToolCallResolution: true, toolCallValidation: "deferred" } as const

const optionsOf = ({ options }: DrawRequest) => ({
  prompt: options.prompt,
  ...options.tools.length === 0 ? {} : { toolkit: withoutHandlers(options.tools), toolChoice: options.toolChoice },
  ...deferred
})

const withoutHandlers = (tools: LanguageModel.ProviderOptions["tools"]): object => ({
  tools: Toolkit.make(...tools.map(undecoded)).tools,
  handle: () => Effect.die(new Error("a model of requests runs no tools"))
})

// A tool that the provider executed is paid for, in any form. The program's own toolkit decodes it.
const undecoded = (tool: Tool.Any): Tool.Any =>
  Tool.isProviderDefined(tool)
    ? tool.setParameters(Schema.Unknown).setSuccess(Schema.Unknown).setFailure(Schema.Unknown)
    : tool

const askText = (inner: Untyped, request: DrawRequest): Answered =>
  Effect.flatMap(inner.generateText(optionsOf(request)), ({ content }) => Effect.map(encoded(content), whole))

const whole = (parts: ReadonlyArray<Response.AnyPartEncoded>) => ({
  of: "whole" as const,
  parts: parts as ReadonlyArray<Response.PartEncoded>
})

type ObjectFormat = Extract<LanguageModel.ProviderOptions["responseFormat"], { readonly type: "json" }>

// An object that cannot be decoded is an answer too, and its text and usage are paid for.
const askObject = (
  inner: Untyped,
  request: DrawRequest,
  { objectName, schema }: ObjectFormat,
  told: { last?: Told }
): Answered =>
  Effect.matchEffect(inner.generateObject({ ...optionsOf(request), schema, objectName }), {
    onFailure: (error): Answered => {
      const { reason } = error
      if (reason._tag !== "StructuredOutputError" || told.last === undefined) return Effect.fail(error)
      const { description, responseText } = reason
      return Effect.map(
        encoded(told.last.response),
        (parts): ModelAnswer.Answer => ({ ...whole(parts), object: { _tag: "Error", description, responseText } })
      )
    },
    onSuccess: ({ content, value }): Answered =>
      Effect.zipWith(
        encoded(content),
        encodeValue(schema, value),
        (parts, value): ModelAnswer.Answer =>
          value === undefined ? whole(parts) : { ...whole(parts), object: { _tag: "Value", value } }
      )
  })

/** The JSON of a value, `undefined` if it does not give the value back. The text of the answer then has to. */
const encodeValue = (schema: Schema.Top, value: unknown): Effect.Effect<Json | undefined> => {
  const codec = Schema.toCodecJson(schema) as unknown as Schema.Codec<unknown, Json>
  return Schema.encodeUnknownEffect(codec)(value).pipe(
    Effect.flatMap((json) =>
      Effect.map(Schema.decodeEffect(codec)(json), (again) => Equal.equals(again, value) ? json : undefined)
    ),
    Effect.catchCause(() => Effect.succeed(undefined))
  )
}

const askStream = (
  inner: Untyped,
  request: DrawRequest,
  stream: LiveStream,
  token: object
): Answered => {
  const parts: Array<Response.AnyPartEncoded> = []
  const read = Stream.runForEachArray(
    inner.streamText(optionsOf(request)),
    (chunk) =>
      Effect.map(encoded(chunk), (chunk) => {
        parts.push(...chunk)
        if (Arr.isReadonlyArrayNonEmpty(chunk)) {
          stream.show(token, chunk as unknown as Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>)
        }
      })
  )
  const left = Effect.flatMap(Deferred.await(stream.aborted), () => Effect.fail(abandoned(stream)))
  return Effect.map(
    Effect.raceFirst(Effect.interruptible(read), left),
    () => ({ of: "stream", parts: parts as ReadonlyArray<Response.StreamPartEncoded> })
  )
}

const abandoned = (stream: LiveStream) => {
  const error = SampleError.providerError("Transport", { description: "the stream was abandoned before its end" })
  Object.defineProperty(error.reason, "cause", { value: new Abandoned(stream), enumerable: false })
  return error
}

const encoded = (
  parts: ReadonlyArray<Response.AnyPart>
): Effect.Effect<Array<Response.AnyPartEncoded>, InvalidInput> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parts.map(encodePart))
    } catch (error) {
      return error instanceof NoJson
        ? Effect.fail(new InvalidInput({ module: "RequestModel", description: error.message }))
        : Effect.failCause(Cause.die(error))
    }
  })

/** The failure that an answer reports of itself: it is no sample. */
const failureOf = ({ of, parts }: ModelAnswer.Answer): AiError.AiError | undefined => {
  const finish = parts.findLast((part) => part.type === "finish")
  const method = of === "stream" ? "streamText" : "generateText"
  const error = (parts as ReadonlyArray<Response.AnyPartEncoded>).find((part) => part.type === "error")
  return error !== undefined || finish?.reason === "error"
    ? AiError.make({
      module: "LanguageModel",
      method,
      reason: new AiError.InternalProviderError({
        description: `the answer reports an error${
          error === undefined ? "" : `, ${JSON.stringify(error.error)}`
        }. It is not recorded`
      })
    })
    : of === "stream" && finish === undefined
    ? AiError.make({
      module: "LanguageModel",
      method,
      reason: new AiError.NetworkError({
        reason: "TransportError",
        method: "POST",
        url: "stream",
        description: "the stream ended without a finish part. It is not recorded"
      })
    })
    : undefined
}
