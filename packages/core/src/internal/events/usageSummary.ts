import * as Duration from "effect/Duration"
import type { Identity } from "../../Identity.ts"
import type { Amount, Counts } from "../../Usage.ts"

/** The counts in one line. */
export const summaryOf = (counts: Counts): string => {
  const { failedRequests, failedSamples, hits, misses, refused, replayed, spent } = counts
  const draws = [
    many(hits, "hit"),
    many(misses, "miss", "misses"),
    ...failedRequests === 0 ? [] : [many(failedRequests, "failed request")],
    ...failedSamples === 0 ? [] : [many(failedSamples, "failed sample")],
    ...refused === 0 ? [] : [`${refused} refused`]
  ]
  return `spent ${amount(spent)}; replayed ${amount(replayed)}; ${draws.join(", ")}`
}

const amount = ({ inputTokens, outputTokens, requestTime, requests, samples, unmetered }: Amount): string => {
  if (requests === 0 && samples === 0) return "nothing"
  const tokens = unmetered === 0 ? "tokens" : `tokens (those of ${unmetered} unknown)`
  return `${many(requests, "request")}, ${many(samples, "sample")}, ${inputTokens} + ${outputTokens} ${tokens}, ` +
    Duration.format(requestTime)
}

const many = (count: number, one: string, several = `${one}s`): string => `${count} ${count === 1 ? one : several}`

/** Lets the console and the log print counts as their summary, followed by those of several models. */
export const printable = <A extends Counts>(counts: A, parts: ReadonlyArray<Counts> = [], name?: Identity): A => {
  const prefix = name === undefined ? "" : `${name.toString()}: `
  const toText = () => [`${prefix}${summaryOf(counts)}`, ...parts.length > 1 ? parts.map(String) : []].join("\n  ")
  const property = { value: toText, enumerable: false }
  // The symbol of `util.inspect.custom`: https://nodejs.org/api/util.html#utilinspectcustom
  return Object.defineProperties(counts, { toString: property, [Symbol.for("nodejs.util.inspect.custom")]: property })
}
