/** Reads JSON of other programs, in which every field may have any type. */
export type JsonObject = { readonly [name: string]: unknown }

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const asObject = (value: unknown): JsonObject => isObject(value) ? value : {}

export const asArray = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

export const asString = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

export const asNumber = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined

export const asCount = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A time in milliseconds since the epoch. A time without a zone is in UTC. */
export const asTime = (value: unknown): number | undefined => {
  const text = asString(value)
  if (text === undefined) return undefined
  const iso = text.replace(" ", "T")
  const time = Date.parse(/[zZ]$|[+-]\d\d:?\d\d$/.test(iso) ? iso : `${iso}Z`)
  return Number.isFinite(time) ? time : undefined
}

/** The value without undefined fields. */
export const compact = <A extends object>(value: A): A =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as A
