import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry, Metadata } from "@llm-cache/core/Sample"
import * as Result from "effect/Result"
import { asArray, asCount, isObject, parseJson } from "../import/json.ts"
import { jsonLine } from "../output/printable.ts"

/** A sample and its key. */
export interface Line {
  readonly key: Key
  readonly entry: Entry
}

/**
 * A sample as a line of JSON. All lines have the same columns, each of one type: `parameters`, `fork`, `metadata` and
 * `origins` are JSON in a text, and a temperature has a fraction.
 */
export const encodeLine = ({ identity, path, prompt, promptHash }: Key, { drawn, position }: Entry): string => {
  const { name, parameters, temperature } = identity
  const columns = [
    ["model", jsonLine(name)],
    ["temperature", temperature === undefined ? "null" : withFraction(temperature)],
    ["parameters", jsonLine(parameters)],
    ["fork", jsonLine(JSON.stringify(path))],
    ["hash", jsonLine(promptHash)],
    ["prompt", jsonLine(prompt)],
    ["position", String(position)],
    ["text", jsonLine(drawn.text)],
    ["metadata", jsonLine(JSON.stringify(sorted(drawn.metadata)))],
    ["origins", jsonLine(JSON.stringify(drawn.origins))]
  ]
  return `{${columns.map(([name, json]) => `"${name}":${json}`).join(",")}}\n`
}

/** The sample of a line, or why it is none. */
export const decodeLine = (json: string): Result.Result<Line, string> => {
  const line = parseJson(json)
  if (!isObject(line)) return Result.fail("it is not a whole JSON object")
  const { fork, metadata, model, origins, parameters, position, prompt, temperature, text } = line
  if (typeof model !== "string" || typeof prompt !== "string" || typeof text !== "string") {
    return Result.fail("`model`, `prompt` and `text` have to be texts")
  }
  const identity = Identity.fromId(
    JSON.stringify([model, temperature ?? null, typeof parameters === "string" ? parameters : "{}"])
  )
  if (identity === undefined || !(parameters === undefined || typeof parameters === "string")) {
    return Result.fail("`model`, `temperature` and `parameters` name no distribution")
  }
  const at = asCount(position)
  if (at === undefined) return Result.fail("`position` has to be a whole number from 0")
  const path = listOf(fork, isText)
  if (path === undefined) return Result.fail("`fork` has to be a list of names, as JSON in a text")
  const readers = listOf(origins, (value) => asCount(value) !== undefined)
  if (readers === undefined) return Result.fail("`origins` has to be a list of positions, as JSON in a text")
  const facts = metadata === undefined || metadata === null
    ? {}
    : typeof metadata === "string"
    ? parseJson(metadata)
    : metadata
  if (!isMetadata(facts)) return Result.fail("`metadata` has to be the metadata of a sample, as JSON in a text")
  const drawn: Drawn = { text, metadata: facts, origins: readers as ReadonlyArray<number> }
  return Result.succeed({
    key: new Key(identity, prompt, path as ReadonlyArray<string>),
    entry: { position: at, drawn }
  })
}

const withFraction = (temperature: number): string =>
  Number.isInteger(temperature) ? temperature.toFixed(1) : JSON.stringify(temperature)

const sorted = (metadata: Metadata): object =>
  Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)))

const isText = (value: unknown): boolean => typeof value === "string"

const listOf = (json: unknown, isItem: (value: unknown) => boolean): ReadonlyArray<unknown> | undefined => {
  if (json === undefined || json === null) return []
  const list = typeof json === "string" ? parseJson(json) : json
  return Array.isArray(list) && asArray(list).every(isItem) ? list : undefined
}

const texts = ["request", "model", "finishReason", "refusal", "reasoning", "responseId"]
const numbers = ["index", "createdAt", "elapsed", "requestSamples", "inputTokens", "outputTokens"]

const isMetadata = (value: unknown): value is Metadata =>
  isObject(value) &&
  texts.every((name) => value[name] === undefined || typeof value[name] === "string") &&
  numbers.every((name) => value[name] === undefined || Number.isFinite(value[name])) &&
  (value["rest"] === undefined || isObject(value["rest"]))
