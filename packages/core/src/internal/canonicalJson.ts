/**
 * JSON with the keys of every object in order, so that equal values have equal texts. Only in a JSON Schema they keep the
 * order in which they are given, because providers generate fields in the order of the schema. `undefined` if it is no JSON.
 */
export const canonical = (value: unknown): string | undefined => write(value, false)

const write = (value: unknown, isInSchema: boolean): string | undefined => {
  if (value === null || typeof value === "boolean") return String(value)
  if (typeof value === "string") return value.isWellFormed() ? JSON.stringify(value) : undefined
  if (typeof value === "number") return Number.isFinite(value) ? JSON.stringify(value) : undefined
  if (Array.isArray(value)) {
    const items = value.map((item) => write(item, isInSchema))
    return items.includes(undefined) ? undefined : `[${items.join(",")}]`
  }
  if (typeof value !== "object") return undefined
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return undefined
  const keepsOrder = isInSchema || isSchema(value)
  const entries = Object.entries(value)
  const fields: Array<string> = []
  for (const [name, field] of keepsOrder ? entries : entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (field === undefined) continue
    const text = write(field, keepsOrder)
    if (text === undefined || !name.isWellFormed()) return undefined
    fields.push(`${JSON.stringify(name)}:${text}`)
  }
  return `{${fields.join(",")}}`
}

// A schema without properties has no fields to generate.
const isSchema = (value: object): boolean =>
  "properties" in value && typeof value.properties === "object" && value.properties !== null &&
  !Array.isArray(value.properties)
