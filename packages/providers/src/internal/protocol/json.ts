import type { Excerpt } from "../request/excerpt.ts"

/**
 * Reads JSON that a server sent. A field of another type than the protocol says counts as absent, because it must not
 * cost the samples that were paid for.
 */
export type JsonObject = { readonly [name: string]: unknown }

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Parses JSON. Gives `undefined` for every other text. */
export const parseJson = (text: string): unknown => tryParse(text) ?? tryParse(withoutNaN(text))

const tryParse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Python writes numbers that JSON does not have. One expression for whole strings would take too long for a cut one.
const withoutNaN = (text: string): string => {
  let inString = false
  return text.replace(/\\.|"|-?\b(?:NaN|Infinity)\b/gs, (token) => {
    if (token === "\"") inString = !inString
    return inString || token === "\"" || token.startsWith("\\") ? token : "null"
  })
}

/** Parses a JSON object. Gives `undefined` for every other text. */
export const parseObject = (text: string): JsonObject | undefined => asObject(parseJson(text))

/** Whether a text begins as JSON and ends before its end. */
export const isCutJson = (text: string): boolean => {
  if (!/^\s*[{[]/.test(text)) return false
  let depth = 0
  let inString = false
  for (const [token] of text.matchAll(/\\.|["{}[\]]/gs)) {
    if (token === "\"") inString = !inString
    else if (inString) continue
    else if (token === "{" || token === "[") depth++
    else if (token === "}" || token === "]") depth--
  }
  return depth > 0
}

export const asObject = (value: unknown): JsonObject | undefined => isObject(value) ? value : undefined

/** The items of a list. An item that is no object counts as an empty one. */
export const asObjects = (value: unknown): ReadonlyArray<JsonObject> | undefined =>
  Array.isArray(value) ? value.map((item) => isObject(item) ? item : {}) : undefined

export const asString = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** A name such as a finish reason, safe to print. An empty one counts as absent. */
export const asName = (value: unknown, excerpt: Excerpt): string | undefined =>
  typeof value === "string" ? excerpt(value) || undefined : undefined

export const asTokenCount = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** Joins texts. Gives `undefined` if there is none but empty ones. */
export const joinTexts = (texts: ReadonlyArray<unknown>): string | undefined =>
  texts.filter((text) => typeof text === "string").join("") || undefined

/** Joins the texts of the parts of type `text`. Gives `undefined` if one of them is malformed. */
export const joinTextParts = (parts: ReadonlyArray<JsonObject>): string | undefined => {
  const texts = parts.filter(({ type }) => type === "text").map(({ text }) => text)
  return texts.every((text) => typeof text === "string") ? texts.join("") : undefined
}
