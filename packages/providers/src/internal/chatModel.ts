import * as LlmModel from "@llm-cache/core/LlmModel"
import { ProviderError, type ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import type { ModelOptions } from "../OpenAiCompatible.ts"
import type { ApiKey } from "./apiKey.ts"
import { generation } from "./completion.ts"
import * as Failure from "./failure.ts"
import { quoting } from "./quote.ts"
import { checkParameters, checkTimeout, endpoint } from "./request.ts"
import { defaultSchedule, retry } from "./retry.ts"

export interface Options extends ModelOptions {
  /** The provider's name in messages. By default the host of its URL. */
  readonly name?: string | undefined
  readonly baseUrl: string
  readonly apiKey: ApiKey
}

/** A model behind `POST {baseUrl}/chat/completions`. */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<LlmModel.Model, ProviderError, HttpClient.HttpClient> {
  const { apiKey, model, parameters, system, temperature } = options
  const url = yield* endpoint(options.baseUrl)
  yield* checkParameters(parameters)
  const timeout = yield* checkTimeout(options.timeout ?? "10 minutes")
  const retrying = retry(options.retry ?? defaultSchedule)
  const client = yield* HttpClient.HttpClient
  const provider = `${options.name ?? url.host} (${model})`
  const failed = (reason: ProviderErrorReason) => new ProviderError({ provider, reason })

  return yield* LlmModel.make({
    model,
    temperature,
    alias: options.alias,
    maxBatch: options.maxBatch,
    parameters: system === undefined ? parameters : { ...parameters, system },
    generate: ({ n, prompt }) =>
      Effect.flatMap(Effect.mapError(apiKey.resolve, failed), (key) => {
        const sent: Failure.Sent = { url: url.href, model, n, keyName: apiKey.name, quote: quoting(key) }
        const messages = [{ role: "user", content: prompt }]
        if (system !== undefined) messages.unshift({ role: "system", content: system })
        const request = HttpClientRequest.post(url).pipe(
          HttpClientRequest.bearerToken(key),
          HttpClientRequest.acceptJson,
          HttpClientRequest.bodyJsonUnsafe({ ...parameters, model, temperature, n, messages })
        )
        return exchange(client, request, sent).pipe(
          Effect.timeoutOrElse({
            duration: timeout,
            orElse: () => Effect.fail(Failure.timedOut(timeout, sent))
          }),
          Effect.mapError(failed),
          retrying
        )
      })
  })
})

/** One request, and its answer to the last byte. */
const exchange = Effect.fnUntraced(function*(
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  sent: Failure.Sent
): Effect.fn.Return<LlmModel.Generation, ProviderErrorReason> {
  const response = yield* client.execute(request).pipe(
    // A client may come with a filter of its own.
    Effect.catchReason("HttpClientError", "StatusCodeError", ({ response }) => Effect.succeed(response)),
    Effect.mapError((error) => Failure.broken(error, sent))
  )
  const { status } = response
  const target = redirectOf(response)
  if (target === undefined && status >= 200 && status < 300) {
    const body = yield* Effect.mapError(response.text, (error) => Failure.broken(error, sent))
    return yield* generation(body, status, sent.quote)
  }
  const body = yield* Effect.orElseSucceed(response.text, () => "")
  return yield* target === undefined
    ? Failure.refused(response, body, yield* Clock.currentTimeMillis, sent)
    : Failure.redirected(response, target, sent)
})

// Where a redirect leads, also one that the client has followed by itself, as `fetch` does.
const redirectOf = ({ headers, request, status, url }: HttpClientResponse): string | undefined => {
  const isRedirect = status >= 300 && status < 400
  const asked = Option.getOrUndefined(HttpClientRequest.toUrl(request))?.href
  const target = (isRedirect ? headers["location"] : url) ?? ""
  if (target === "" || !URL.canParse(target, asked)) return isRedirect ? "another place" : undefined
  const { href, origin, pathname } = new URL(target, asked)
  return isRedirect || href !== asked ? origin + pathname : undefined
}
