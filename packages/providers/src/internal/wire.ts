/**
 * What a server sent, of which nothing is certain. What is not what its protocol says counts as absent: it must not cost
 * the samples that were paid for.
 */
export type Fields = { readonly [name: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The fields of a text that is a JSON object. `undefined` for every other text. */
export const parse = (text: string): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

export const fieldsOf = (value: unknown): Fields | undefined => isFields(value) ? value : undefined

/** The items of a list, each by its fields. One that has none counts as one without fields. */
export const itemsOf = (value: unknown): ReadonlyArray<Fields> | undefined =>
  Array.isArray(value) ? value.map((item) => isFields(item) ? item : {}) : undefined

export const stringOf = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** A count of tokens. */
export const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** The texts of those parts that are texts, joined. `undefined` where none is. */
export const textOf = (parts: ReadonlyArray<Fields>): string | undefined => {
  const texts = parts.flatMap(({ text, type }) => type === "text" && typeof text === "string" ? [text] : [])
  return texts.length === 0 ? undefined : texts.join("")
}
