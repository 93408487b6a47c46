import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import { IdGenerator } from "effect/ai/IdGenerator"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import { bodyJsonUnsafe, setHeaders } from "effect/http/HttpClientRequest"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type ConnectionOptions, makeConnection, outputTokensOf, type Server } from "../connection.ts"
import { estimateTokens } from "../limits/estimateTokens.ts"
import { chatCompletions } from "../protocol/chatCompletions.ts"
import { asObjects, asString, type JsonObject } from "../protocol/json.ts"
import type { Protocol } from "../protocol/protocol.ts"
import { sendRequest } from "../request/sendRequest.ts"
import { aiError, type Method, toAiError } from "./aiError.ts"
import { lastParts, toWholeParts } from "./answerContent.ts"
import { type AnswerEnd, makeAnswerReader } from "./answerParts.ts"
import { checkConfig } from "./checkConfig.ts"
import { readWhole, streamAnswer } from "./readAnswer.ts"
import { requestBody, type RequestSettings, withoutFence } from "./requestBody.ts"
import { annotateRequest, annotateResponse } from "./telemetry.ts"

/** The protocol, for the messages of this module. */
export const protocol: Protocol = { ...chatCompletions, module: "ChatCompletionsModel" }

/** The settings of a model. */
export interface Settings extends RequestSettings {
  /** The fields of a request, those of the caller included. */
  readonly config: Effect.Effect<JsonObject & { readonly model: string }>
  readonly idleTimeout: Duration.Duration
}

/** The parts in front of the consumer of a stream. A slow consumer slows the server down. */
const bufferedParts = 16

/** Makes a language model of a server. */
export const makeLanguageModel = Effect.fnUntraced(function*(
  settings: Settings,
  options: ConnectionOptions,
  server: Server
): Effect.fn.Return<LanguageModel.LanguageModel, InvalidInput, HttpClient> {
  const connection = yield* makeConnection(protocol, options, server)
  const { client, telemetryName, timeout, url } = connection

  const prepare = Effect.fnUntraced(function*(method: Method, options: LanguageModel.ProviderOptions) {
    const config = yield* settings.config
    yield* Effect.mapError(
      checkConfig(config),
      ({ message }) => aiError(method, new AiError.InvalidRequestError({ description: message }))
    )
    const { body, outputTool } = yield* tryReason(
      method,
      () => requestBody(config, options, method === "streamText", settings)
    )
    annotateRequest(options.span, telemetryName, config)
    const id = yield* (yield* IdGenerator).generateId()
    let named = 0
    return {
      body,
      outputTool,
      model: config.model,
      makeId: () => named++ === 0 ? id : `${id}-${named}`,
      estimatedTokens: estimateTokens({
        texts: textsOf(body),
        samples: 1,
        outputTokens: outputTokensOf(protocol, config)
      })
    }
  })

  const finish = (
    method: Method,
    options: LanguageModel.ProviderOptions,
    end: AnswerEnd,
    outputTool: string | undefined
  ) => {
    annotateResponse(options.span, end)
    return Effect.flatMap(
      tryReason(method, () => lastParts(end, options, outputTool)),
      Effect.forEach((part) => {
        const tool = part.type === "tool-call" ? options.tools.find(({ name }) => name === part.name) : undefined
        return part.type !== "tool-call" || tool === undefined
          ? Effect.succeed(part)
          : Effect.map(settings.schemas.toParams(tool, part.params), (params) => ({ ...part, params }))
      })
    )
  }

  const generateText = Effect.fnUntraced(function*(options: LanguageModel.ProviderOptions) {
    const { body, estimatedTokens, makeId, model, outputTool } = yield* prepare("generateText", options)
    const { end, parts } = yield* connection.send({
      model,
      n: 1,
      estimatedTokens,
      send: (request, details) =>
        sendRequest(
          client,
          (answer) => {
            const reader = makeAnswerReader(makeId, details.excerpt)
            return Effect.flatMap(readWhole(answer, reader), (parts) =>
              Effect.map(Effect.fromResult(reader.end(answer)), ({ end, parts: last }) => ({
                end,
                parts: [...parts, ...last],
                inputTokens: end.inputTokens,
                outputTokens: end.outputTokens
              })))
          },
          bodyJsonUnsafe(request, body),
          timeout,
          details
        )
    }).pipe(Effect.mapError(toAiError("generateText", url)))
    const isText = options.responseFormat.type === "text" || settings.structuredOutput === "json_schema"
    const all = [...parts, ...yield* finish("generateText", options, end, outputTool)]
    return toWholeParts(all, isText ? (text) => text : withoutFence)
  })

  const streamText = (options: LanguageModel.ProviderOptions) =>
    Stream.callback<Response.StreamPartEncoded, AiError.AiError, IdGenerator>(
      Effect.fnUntraced(function*(queue) {
        const { body, estimatedTokens, makeId, model, outputTool } = yield* prepare("streamText", options)
        const toError = toAiError("streamText", url)
        let isShown = false
        let failure: ProviderErrorReason | undefined
        const sent = yield* connection.send({
          model,
          n: 1,
          estimatedTokens,
          send: (request, details) =>
            streamAnswer(
              client,
              bodyJsonUnsafe(forStream(request), body),
              settings.idleTimeout,
              details,
              makeAnswerReader(makeId, details.excerpt),
              (parts) => {
                isShown = true
                return Effect.asVoid(Queue.offerAll(queue, parts))
              }
            ).pipe(
              Effect.map((end): Sent => ({ end, inputTokens: end.inputTokens, outputTokens: end.outputTokens })),
              Effect.catch((reason): Effect.Effect<Sent, ProviderErrorReason> => {
                if (!isShown) return Effect.fail(reason)
                // Another request would be another answer, and the consumer has seen a part of this one.
                failure = reason
                return Effect.succeed({ end: undefined, inputTokens: undefined, outputTokens: undefined })
              })
            )
        }).pipe(Effect.mapError(toError))
        if (failure !== undefined) return yield* toError(connection.toError(model, failure))
        yield* Queue.offerAll(queue, yield* finish("streamText", options, sent.end!, outputTool))
        yield* Queue.end(queue)
      }),
      { bufferSize: bufferedParts, strategy: "suspend" }
    )

  return yield* LanguageModel.make({
    codecTransformer: settings.schemas.codecTransformer,
    generateText,
    streamText
  })
})

interface Sent {
  readonly end: AnswerEnd | undefined
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
}

// Packed bytes come late, if at all, before the end of a stream.
const forStream = (request: Parameters<typeof bodyJsonUnsafe>[0]) =>
  request.headers["accept"] === "application/json"
    ? setHeaders(request, { accept: "text/event-stream", "accept-encoding": "identity" })
    : request

const tryReason = <A>(method: Method, evaluate: () => A): Effect.Effect<A, AiError.AiError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return AiError.isAiErrorReason(error) ? Effect.fail(aiError(method, error)) : Effect.die(error)
    }
  })

// Images count by their size in pixels, which the estimate does not know.
const textsOf = ({ messages, tools }: JsonObject): ReadonlyArray<string> => [
  ...(asObjects(messages) ?? []).flatMap(({ content, tool_calls }) => [
    ...typeof content === "string" ? [content] : (asObjects(content) ?? []).map(({ text }) => asString(text) ?? ""),
    tool_calls === undefined ? "" : JSON.stringify(tool_calls)
  ]),
  tools === undefined ? "" : JSON.stringify(tools)
]
