/**
 * Reads JSON that a server sent. A field of another type than the protocol says counts as absent, because it must not
 * cost the samples that were paid for.
 */
export type JsonObject = { readonly [name: string]: unknown }

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Parses a JSON object. Gives `undefined` for every other text. */
export const parseObject = (text: string): JsonObject | undefined => {
  try {
    return asObject(JSON.parse(text))
  } catch {
    return undefined
  }
}

export const asObject = (value: unknown): JsonObject | undefined => isObject(value) ? value : undefined

/** The items of a list. An item that is no object counts as an empty one. */
export const asObjects = (value: unknown): ReadonlyArray<JsonObject> | undefined =>
  Array.isArray(value) ? value.map((item) => isObject(item) ? item : {}) : undefined

export const asString = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

export const asTokenCount = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** Joins the texts of the parts of type `text`. Gives `undefined` if there is no such part. */
export const joinTextParts = (parts: ReadonlyArray<JsonObject>): string | undefined => {
  const texts = parts.flatMap(({ text, type }) => type === "text" && typeof text === "string" ? [text] : [])
  return texts.length === 0 ? undefined : texts.join("")
}
