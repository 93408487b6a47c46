import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { Generation, RetryWait } from "@llm-cache/core/LlmModel"
import * as Retry from "@llm-cache/core/Retry"
import { BadKey, ProviderError, type ProviderErrorReason, type SampleError } from "@llm-cache/core/SampleError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { type HttpClientRequest, post } from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Limits from "../Limits.ts"
import type { ModelOptions } from "../ModelOptions.ts"
import type { ApiKey } from "./apiKey.ts"
import { checkHeaders, checkTimeout, checkValues, failInvalid, requestUrl, textOf } from "./checkOptions.ts"
import type { Protocol } from "./protocol/protocol.ts"
import type { RequestDetails } from "./request/errorReason.ts"
import { makeExcerpt } from "./request/excerpt.ts"

/** The server that a model is asked at. */
export interface Server {
  /** The provider's name in error messages. By default the host of its URL. */
  readonly name?: string | undefined
  /** The provider's name in spans and metrics. By default the host of its URL. */
  readonly telemetryName?: string | undefined
  readonly baseUrl: string
  readonly apiKey: ApiKey
}

/** The options of a connection. */
export type ConnectionOptions = Pick<ModelOptions, "headers" | "limits" | "query" | "retry" | "timeout">

/** A request before it is sent. */
export interface Outgoing<A> {
  readonly model: string
  /** How many samples it asks for. */
  readonly n: number
  readonly estimatedTokens: number
  readonly send: (
    request: HttpClientRequest,
    details: RequestDetails
  ) => Effect.Effect<A, ProviderErrorReason>
  readonly onRetry?: ((wait: RetryWait) => Effect.Effect<void>) | undefined
}

/** A server, with the key, the limits and the retries of its requests. */
export interface Connection {
  readonly client: HttpClient.HttpClient
  readonly telemetryName: string
  readonly timeout: Duration.Duration
  readonly url: string
  /** The error of a request of a model. */
  readonly toError: (model: string, reason: ProviderErrorReason) => ProviderError
  /** Sends a request with the key and the headers, once the limits allow it, and again after a transient failure. */
  readonly send: <A extends Partial<Generation>>(outgoing: Outgoing<A>) => Effect.Effect<A, SampleError>
}

/** Connects to a server that speaks a protocol. */
export const makeConnection = Effect.fnUntraced(function*(
  protocol: Protocol,
  options: ConnectionOptions,
  { apiKey, baseUrl, name, telemetryName }: Server
): Effect.fn.Return<Connection, InvalidInput, HttpClient.HttpClient> {
  const headers = options.headers ?? {}
  const query = options.query ?? {}
  const url = yield* requestUrl(protocol, baseUrl)
  yield* checkValues(protocol, "headers", headers)
  yield* checkValues(protocol, "query", query)
  yield* checkHeaders(protocol, headers)
  const timeout = yield* checkTimeout(protocol, "timeout", options.timeout ?? "10 minutes")
  if (options.retry !== undefined && !Schedule.isSchedule(options.retry)) {
    return yield* failInvalid(protocol, "`retry` is no `Schedule`: give one like `Schedule.recurs(3)`, or leave it out")
  }
  const retry = Retry.make(options.retry)
  const client = yield* HttpClient.HttpClient
  const sharedLimits = yield* Effect.serviceOption(Limits.Limits)
  const limits = options.limits === undefined && Option.isSome(sharedLimits)
    ? sharedLimits.value
    : yield* Limits.make(options.limits)
  const { host, hostname, href } = url

  const target = new URL(url)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) target.searchParams.set(name, textOf(value))
  }
  const values = [...Object.entries(headers), ...Object.entries(query)]
  const secrets = values.map(([, value]) => value).filter((value) => Redacted.isRedacted(value))
  // `Redacted.make(process.env.KEY!)` of an unset variable.
  const unset = values.find(([, value]) => Redacted.isRedacted(value) && typeof Redacted.value(value) !== "string")
  const resolveKey = unset === undefined
    ? apiKey.resolve
    : Effect.fail(
      new BadKey({
        description: `the \`Redacted\` of \`${
          unset[0]
        }\` holds no text: set the environment variable that it is made of`
      })
    )
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

  const toError = (model: string, reason: ProviderErrorReason) =>
    new ProviderError({ provider: `${name ?? host} (${model})`, reason })

  return {
    client,
    telemetryName: telemetryName ?? hostname,
    timeout,
    url: href,
    toError,
    send: ({ estimatedTokens, model, n, onRetry, send }) => {
      const toProviderError = (reason: ProviderErrorReason) => toError(model, reason)
      return Effect.matchEffect(resolveKey, {
        onFailure: (reason) => Effect.fail(toProviderError(reason)),
        onSuccess: (key) => {
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
          const sent = limits.run(account, estimatedTokens, send(request, details))
          return retry(Effect.mapError(sent, toProviderError), onRetry)
        }
      })
    }
  }
})

/** The limit for the tokens of a sample, if the parameters have one. Servers read a limit below zero as no limit. */
export const outputTokensOf = (
  { outputTokenLimits }: Protocol,
  parameters: { readonly [name: string]: unknown }
): number | undefined =>
  outputTokenLimits
    .map((name) => parameters[name])
    .filter((limit) => typeof limit === "number")
    .find((limit) => limit > 0)
