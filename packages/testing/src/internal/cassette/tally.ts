import * as DiagnosticsChannel from "node:diagnostics_channel"
import type { Line } from "./line.ts"

/** Requests to providers, and their tokens. */
export interface Tokens {
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** The requests of a test, and those that its cassette saved, by the names of the models. */
export interface Tally {
  /** Draws that a cassette answered. */
  readonly replayed: number
  readonly spent: Readonly<Record<string, Tokens>>
  readonly avoided: Readonly<Record<string, Tokens>>
  /** The files of unfinished recordings. */
  readonly unfinished: ReadonlyArray<string>
}

/** Cassettes publish their tallies when they close, and the setup of Vitest listens. */
export const tallies = DiagnosticsChannel.channel("@llm-cache/testing/tallies")

/** The requests that brought the lines, each once. */
export const tokensOf = (lines: ReadonlyArray<Line>): Record<string, Tokens> => {
  const counted = new Set<string>()
  const tokens: Record<string, Tokens> = {}
  for (const { entry: { drawn: { metadata } }, key: { identity: { name } } } of lines) {
    const { inputTokens = 0, outputTokens = 0, request } = metadata
    if (request !== undefined && counted.size === counted.add(request).size) continue
    tokens[name] = addTokens(tokens[name], { requests: 1, inputTokens, outputTokens })
  }
  return tokens
}

export const addTallies = (one: Tally, other: Tally): Tally => ({
  replayed: one.replayed + other.replayed,
  spent: addAll(one.spent, other.spent),
  avoided: addAll(one.avoided, other.avoided),
  unfinished: [...new Set([...one.unfinished, ...other.unfinished])]
})

export const noTally: Tally = { replayed: 0, spent: {}, avoided: {}, unfinished: [] }

const addAll = (one: Tally["spent"], other: Tally["spent"]): Tally["spent"] => {
  const sum = { ...one }
  for (const [name, tokens] of Object.entries(other)) sum[name] = addTokens(sum[name], tokens)
  return sum
}

export const addTokens = (
  one: Tokens = { requests: 0, inputTokens: 0, outputTokens: 0 },
  other: Tokens
): Tokens => ({
  requests: one.requests + other.requests,
  inputTokens: one.inputTokens + other.inputTokens,
  outputTokens: one.outputTokens + other.outputTokens
})
