import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Retry from "@llm-cache/core/Retry"
import { ProviderError, type ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { bodyJsonUnsafe, post } from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Limits from "../Limits.ts"
import type { ModelOptions } from "../ModelOptions.ts"
import type { ApiKey } from "./apiKey.ts"
import { checkFields, checkHeaders, checkNames, checkTimeout, requestUrl, textOf } from "./checkOptions.ts"
import { estimateTokens } from "./limits/estimateTokens.ts"
import type { Protocol } from "./protocol/protocol.ts"
import type { RequestDetails } from "./request/errorReason.ts"
import { makeExcerpt } from "./request/excerpt.ts"
import { sendRequest } from "./request/sendRequest.ts"

/** The server that a model is sampled at. */
export interface Server {
  /** The provider's name in error messages. By default the host of its URL. */
  readonly name?: string | undefined
  /** The provider's name in spans and metrics. By default the host of its URL. */
  readonly telemetryName?: string | undefined
  readonly baseUrl: string
  readonly apiKey: ApiKey
  readonly maxBatch: number | undefined
}

/** Makes a model of a server that speaks a protocol. */
export const makeModel = Effect.fnUntraced(function*(
  protocol: Protocol,
  options: Omit<ModelOptions, "maxBatch">,
  { apiKey, baseUrl, maxBatch, name, telemetryName }: Server
): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient.HttpClient> {
  yield* checkNames(protocol, options)
  const { headers = {}, model, parameters = {}, query = {}, request: fields = {}, system, temperature } = options
  const url = yield* requestUrl(protocol, baseUrl)
  yield* checkFields(protocol, parameters, fields)
  yield* checkHeaders(protocol, headers)
  const timeout = yield* checkTimeout(protocol, options.timeout ?? "10 minutes")
  const retry = Retry.make(options.retry)
  const client = yield* HttpClient.HttpClient
  const sharedLimits = yield* Effect.serviceOption(Limits.Limits)
  const limits = options.limits === undefined && Option.isSome(sharedLimits)
    ? sharedLimits.value
    : yield* Limits.make(options.limits)
  const { host, hostname, href } = url
  const sent = { ...parameters, ...fields }
  const provider = `${name ?? host} (${model})`
  const toProviderError = (reason: ProviderErrorReason) => new ProviderError({ provider, reason })
  const resolveKey = Effect.mapError(apiKey.resolve, toProviderError)
  // Servers read a limit below zero as no limit.
  const outputTokens = protocol.outputTokenLimits
    .map((name) => parameters[name])
    .filter((limit) => typeof limit === "number")
    .find((limit) => limit > 0)

  const target = new URL(url)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) target.searchParams.set(name, textOf(value))
  }
  const secrets = [...Object.values(headers), ...Object.values(query)].filter((value) => Redacted.isRedacted(value))
  const ownHeaders = Object.entries(headers).map(([name, value]) =>
    [name.toLowerCase(), value && textOf(value)] as const
  )
  const prepare = (key: Redacted.Redacted | undefined) => {
    const all: Record<string, string | undefined> = {
      // A gateway that answers from a cache would give one sample again and again.
      "cache-control": "no-cache",
      ...protocol.setHeaders(key)(post(target)).headers,
      ...Object.fromEntries(ownHeaders)
    }
    return {
      account: { host, key },
      excerpt: makeExcerpt(key === undefined ? secrets : [key, ...secrets]),
      request: post(target, { headers: all })
    }
  }
  // Kept for the next request, which mostly has the same key: the headers cost the benchmark's rows `request*`.
  let prepared: ReturnType<typeof prepare> | undefined

  return yield* LlmModel.make({
    model,
    temperature,
    alias: options.alias,
    maxBatch,
    concurrency: options.concurrency ?? 8,
    uniqueResponseIds: options.uniqueResponseIds,
    provider: telemetryName ?? hostname,
    parameters: system === undefined ? parameters : { ...parameters, system },
    generate: ({ n, onRetry, prompt }) =>
      Effect.flatMap(resolveKey, (key) => {
        if (prepared === undefined || prepared.account.key !== key) prepared = prepare(key)
        const { account, excerpt, request } = prepared
        const details: RequestDetails = {
          url: href,
          model,
          n,
          keyName: apiKey.name,
          urlOption: protocol.urlOption,
          excerpt
        }
        const body = protocol.requestBody({ model, temperature, system, parameters: sent }, prompt, n)
        const send = sendRequest(client, protocol, bodyJsonUnsafe(request, body), timeout, details)
        const tokens = estimateTokens({ texts: [prompt, system ?? ""], samples: n, outputTokens })
        return retry(Effect.mapError(limits.run(account, tokens, send), toProviderError), onRetry)
      })
  })
})
