import {
  BadKey,
  BadRequest,
  type ProviderErrorReason,
  QuotaExhausted,
  RateLimited,
  ServerFault,
  Timeout,
  UnusableResponse
} from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"

/** An upstream's own words about a failure, which the client gets. */
export interface UpstreamAnswer {
  readonly status: number
  readonly body: string
  readonly headers: { readonly [name: string]: string }
}

const answer = Symbol("answer of the upstream")

/** The words of the upstream that are behind a failure. */
export const upstreamAnswerOf = (reason: ProviderErrorReason): UpstreamAnswer | undefined =>
  (reason as { readonly [answer]?: UpstreamAnswer })[answer]

/** Keeps them out of logs, which print all fields. */
export const withAnswer = <A extends ProviderErrorReason>(reason: A, told: UpstreamAnswer): A =>
  Object.defineProperty(reason, answer, { value: told, enumerable: false })

/** Whether an answer is about the path: it says nothing of a model, or of another part of the request. */
export const isUnknownPath = ({ body, status }: UpstreamAnswer): boolean =>
  (status === 404 || status === 405) && !/model|deployment|invalid_request_error|"type":\s*"error"/i.test(body)

/** The reason of an answer that is no success. */
export const reasonOf = (told: UpstreamAnswer, now: number): ProviderErrorReason => {
  const { body, headers, status } = told
  const description = `the upstream answers ${status}`
  const retryAfter = retryAfterOf(headers, now)
  if (status < 400) {
    return new UnusableResponse({ description: `${description}, which is no answer: check the upstream's URL`, status })
  }
  if (status === 402 || (status === 429 && /insufficient_quota|billing|credit/i.test(body))) {
    return withAnswer(new QuotaExhausted({ description, status }), told)
  }
  if (status === 429) return withAnswer(new RateLimited({ description, status, retryAfter }), told)
  if (status === 408) return withAnswer(new Timeout({ description, status, retryAfter }), told)
  if ([409, 424, 425, 498].includes(status) || (status >= 500 && status !== 501 && status !== 505)) {
    return withAnswer(new ServerFault({ description, status, retryAfter }), told)
  }
  return withAnswer(
    status === 401 || status === 403
      ? new BadKey({ description, status })
      : new BadRequest({ description, status }),
    told
  )
}

const retryAfterOf = (headers: UpstreamAnswer["headers"], now: number): Duration.Duration | undefined => {
  const millis = Number(headers["retry-after-ms"] ?? NaN)
  if (Number.isFinite(millis)) return Duration.millis(Math.max(0, millis))
  const text = headers["retry-after"]
  if (text === undefined) return undefined
  const seconds = Number(text)
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - now
  return Number.isFinite(wait) ? Duration.millis(Math.max(0, wait)) : undefined
}
