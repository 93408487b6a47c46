import * as Identity from "@llm-cache/core/Identity"
import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"

/** Parses JSON. Integers beyond 2^53 keep their digits, in keys and in requests. */
export const parseJson = (text: string): unknown =>
  /\d{16}/.test(text) ? JSON.parse(text, exactly as (name: string, value: unknown) => unknown) : JSON.parse(text)

/** The object that a text is the JSON of. `undefined` if it is none. */
export const objectOf = (text: string): JsonObject | undefined => {
  try {
    return asObject(parseJson(text))
  } catch {
    return undefined
  }
}

declare global {
  interface JSON {
    rawJSON(text: string): { readonly rawJSON: string }
  }
}

const exactly = (_: string, value: unknown, { source }: { readonly source?: string }): unknown =>
  typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && source !== undefined
    ? JSON.rawJSON(source)
    : value

export const asObject = (value: unknown): JsonObject | undefined =>
  Predicate.isObject(value) && !Array.isArray(value) ? value as JsonObject : undefined

export const asObjects = (value: unknown): ReadonlyArray<JsonObject> | undefined =>
  Array.isArray(value) && value.every((item) => asObject(item) !== undefined)
    ? value as ReadonlyArray<JsonObject>
    : undefined

export const asString = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

export const asCount = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** The fields with a value, without some names. */
export const fieldsOf = (
  object: { readonly [name: string]: Json | undefined },
  ...without: ReadonlyArray<string>
): Record<string, Json> => {
  const fields: Record<string, Json> = {}
  for (const [name, value] of Object.entries(object)) {
    if (value !== null && value !== undefined && !without.includes(name)) fields[name] = value
  }
  return fields
}

/** All fields, also those with `null`, without some names. */
export const omit = (object: JsonObject, ...names: ReadonlyArray<string>): Record<string, Json> =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))

/** JSON with sorted names, as identities have it. `undefined` if it has a lone surrogate. */
export const canonicalJson = (value: Json): string | undefined => {
  const made = Effect.runSyncExit(Identity.make({ model: "any", parameters: { value } }))
  return made._tag === "Success" ? made.value.parameters.slice(`{"value":`.length, -1) : undefined
}

export const isEmpty = (object: object): boolean => Object.keys(object).length === 0

/** Joins texts, `undefined` if there is none. */
export const joinTexts = (texts: ReadonlyArray<unknown>, separator = ""): string | undefined => {
  const all = texts.filter((text): text is string => typeof text === "string" && text !== "")
  return all.length === 0 ? undefined : all.join(separator)
}
