import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import { BadRequest } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import { bodyJsonUnsafe } from "effect/http/HttpClientRequest"
import type { ModelOptions } from "../ModelOptions.ts"
import { checkFields, checkNames } from "./checkOptions.ts"
import { makeConnection, outputTokensOf, type Server } from "./connection.ts"
import { estimateTokens } from "./limits/estimateTokens.ts"
import type { Protocol } from "./protocol/protocol.ts"
import { sendRequest } from "./request/sendRequest.ts"

/** Makes a model of a server that speaks a protocol. */
export const makeModel = Effect.fnUntraced(function*(
  protocol: Protocol,
  options: Omit<ModelOptions, "maxBatch">,
  server: Server & { readonly maxBatch: number | undefined }
): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient> {
  yield* checkNames(protocol, options)
  const { model, parameters = {}, request: fields = {}, system, temperature } = options
  yield* checkFields(protocol, parameters, fields)
  const connection = yield* makeConnection(protocol, options, server)
  const { client, telemetryName, timeout } = connection
  // A field that is `undefined` is absent, also where the other option or the protocol has it.
  const sent = Object.fromEntries(
    [...Object.entries(parameters), ...Object.entries(fields)].filter(([, value]) => value !== undefined)
  )
  const outputTokens = outputTokensOf(protocol, parameters)

  return yield* LlmModel.make({
    model,
    temperature,
    alias: options.alias,
    maxBatch: server.maxBatch,
    concurrency: options.concurrency ?? 8,
    uniqueResponseIds: options.uniqueResponseIds,
    provider: telemetryName,
    parameters: system === undefined ? parameters : { ...parameters, system },
    generate: ({ n, onRetry, prompt }) =>
      connection.send({
        model,
        n,
        onRetry,
        estimatedTokens: estimateTokens({ texts: [prompt, system ?? ""], samples: n, outputTokens }),
        send: (request, details) =>
          Effect.flatMap(
            Effect.try({
              try: () =>
                bodyJsonUnsafe(
                  request,
                  protocol.requestBody({ model, temperature, system, parameters: sent }, prompt, n)
                ),
              // A `request` of one's own throws for a prompt that it cannot use.
              catch: (error) => {
                const words = details.excerpt(error instanceof Error ? error.message : String(error))
                return new BadRequest({ description: `\`request\` makes no body of the prompt (${words})` })
              }
            }),
            (request) => sendRequest(client, protocol.readAnswer, request, timeout, details)
          )
      })
  })
})
