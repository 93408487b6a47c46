import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"

/** The wait that the headers of an answer ask for: seconds, a delay with a unit, a date, or milliseconds. */
export const fromHeaders = (headers: Headers.Headers, now: number): Duration.Duration | undefined => {
  const millis = headers["retry-after-ms"]
  if (millis !== undefined && /^\d+(?:\.\d+)?$/.test(millis.trim())) return Duration.millis(Math.ceil(Number(millis)))
  const value = headers["retry-after"]
  return value === undefined ? undefined : parseDelay(value) ?? Result.getOrUndefined(
    Result.map(Headers.parseRetryAfter(value), (retryAfter) => Headers.retryAfterDelay(retryAfter, now))
  )
}

const millisOf: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A delay such as `2.5`, `2s`, `1m30s` or `250ms`. A number alone counts seconds. */
export const parseDelay = (text: string): Duration.Duration | undefined => {
  const delay = text.trim().toLowerCase()
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$|^\d+\.\d+$/.test(delay)) return undefined
  const parts = [...delay.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|$)/g)]
  return Duration.millis(Math.ceil(
    parts.reduce((sum, [, number, unit]) => sum + Number(number) * (millisOf[unit || "s"] ?? 0), 0)
  ))
}
