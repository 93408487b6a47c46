import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import { ProviderError, type ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import { bodyJsonUnsafe, post } from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Limits from "../Limits.ts"
import type { ModelOptions } from "../OpenAiCompatible.ts"
import type { ApiKey } from "./apiKey.ts"
import { exchange } from "./exchange.ts"
import type * as Failure from "./failure.ts"
import { estimate } from "./lane.ts"
import type { Protocol } from "./protocol.ts"
import { quoting } from "./quote.ts"
import { checkParameters, checkTimeout, endpoint } from "./request.ts"
import { defaultSchedule, retry } from "./retry.ts"

export interface Options extends ModelOptions {
  /** The provider's name in messages. By default the host of its URL. */
  readonly name?: string | undefined
  /** The provider's name in spans. By default the host of its URL. */
  readonly id?: string | undefined
  readonly baseUrl: string
  readonly apiKey: ApiKey
}

/** A model behind a protocol. */
export const make = Effect.fnUntraced(function*(
  protocol: Protocol,
  options: Options
): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient.HttpClient> {
  const { apiKey, model, parameters = {}, system, temperature } = options
  const url = yield* endpoint(protocol, options.baseUrl)
  yield* checkParameters(protocol, parameters)
  const timeout = yield* checkTimeout(protocol, options.timeout ?? "10 minutes")
  const retrying = retry(options.retry ?? defaultSchedule)
  const client = yield* HttpClient.HttpClient
  const shared = yield* Effect.serviceOption(Limits.Limits)
  const limits = options.limits === undefined && Option.isSome(shared)
    ? shared.value
    : yield* Limits.make(options.limits)
  const provider = `${options.name ?? url.host} (${model})`
  const failed = (reason: ProviderErrorReason) => new ProviderError({ provider, reason })
  const sampled = { model, temperature, system, parameters }
  const resolved = Effect.mapError(apiKey.resolve, failed)
  const { host, hostname, href } = url
  const byKey = (key: Redacted.Redacted | undefined) => ({
    account: { host, key },
    quote: quoting(key),
    request: protocol.sign(key)(post(url))
  })
  // Of the last key, which is mostly that of all requests.
  let last: ReturnType<typeof byKey> | undefined
  const outputTokens = protocol.mostTokens.map((name) => parameters[name]).filter((most) => typeof most === "number")
    // one below zero is no limit
    .find((most) => most > 0)

  return yield* LlmModel.make({
    model,
    temperature,
    alias: options.alias,
    maxBatch: options.maxBatch,
    concurrency: options.concurrency ?? 8,
    provider: options.id ?? hostname,
    parameters: system === undefined ? parameters : { ...parameters, system },
    generate: ({ n, prompt }) =>
      Effect.flatMap(resolved, (key) => {
        if (last === undefined || last.account.key !== key) last = byKey(key)
        const { account, quote, request } = last
        const sent: Failure.Sent = { url: href, model, n, keyName: apiKey.name, quote }
        const asking = bodyJsonUnsafe(request, protocol.body(sampled, prompt, n))
        const tokens = estimate({ texts: [prompt, system ?? ""], n, outputTokens })
        return limits.run(account, tokens, exchange(client, protocol, asking, timeout, sent)).pipe(
          Effect.mapError(failed),
          retrying
        )
      })
  })
})
