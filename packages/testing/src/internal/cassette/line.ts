import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry, JsonObject } from "@llm-cache/core/Sample"
import * as StoreRow from "@llm-cache/core/StoreRow"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"

/** A sample of a cassette, and its key. */
export interface Line {
  readonly key: Key
  readonly entry: Entry
}

/** A sample as a line of JSON, without absent and empty fields. */
export const encode = ({ entry: { drawn, position }, key: { identity, path, prompt } }: Line): string =>
  JSON.stringify({
    model: identity.name,
    temperature: identity.temperature,
    parameters: identity.parameters === "{}" ? undefined : JSON.parse(identity.parameters),
    fork: path.length === 0 ? undefined : path,
    prompt,
    position,
    text: drawn.text,
    metadata: Object.keys(drawn.metadata).length === 0 ? undefined : drawn.metadata,
    origins: drawn.origins.length === 0 ? undefined : drawn.origins
  })

/** The sample of a line, or the fault of the line. */
export const decode = (json: string): Line | string => {
  if (/^(?:<{7}|={7}|>{7})/.test(json)) {
    return "it is a conflict of git: keep the lines of both sides, without the marks"
  }
  const line = StoreRow.parseJson(json)
  if (!Predicate.isObject(line)) return "it is not a whole JSON object: restore it, or remove it and record again"
  const { fork = [], metadata = {}, model, origins = [], parameters = {}, position, prompt, temperature, text } = line
  if (typeof prompt !== "string" || typeof text !== "string") return "`prompt` and `text` have to be texts"
  const identity = identityOf(model, temperature, parameters)
  if (identity === undefined) return "`model`, `temperature` and `parameters` name no distribution"
  if (!isPosition(position)) return "`position` has to be a whole number from 0"
  if (!isList(fork, Predicate.isString)) return "`fork` has to be a list of names"
  if (!isList(origins, isPosition)) return "`origins` has to be a list of positions"
  if (!Predicate.isObject(metadata)) return "`metadata` has to be an object"
  const drawn: Drawn = { text, metadata, origins }
  return { key: new Key(identity, prompt, fork), entry: { position, drawn } }
}

const identityOf = (model: unknown, temperature: unknown, parameters: unknown): Identity.Identity | undefined => {
  if (typeof model !== "string" || !(temperature === undefined || typeof temperature === "number")) return undefined
  if (!Predicate.isObject(parameters)) return undefined
  const made = Effect.runSyncExit(Identity.make({ model, temperature, parameters: parameters as JsonObject }))
  return Exit.isSuccess(made) ? made.value : undefined
}

const isPosition = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isList = <A>(value: unknown, isItem: (value: unknown) => value is A): value is ReadonlyArray<A> =>
  Array.isArray(value) && value.every(isItem)
