/** JSON with the keys of every object in order, so that equal values have equal texts. `undefined` if it is no JSON. */
export const canonical = (value: unknown): string | undefined => {
  if (value === null || typeof value === "boolean") return String(value)
  if (typeof value === "string") return value.isWellFormed() ? JSON.stringify(value) : undefined
  if (typeof value === "number") return Number.isFinite(value) ? JSON.stringify(value) : undefined
  if (Array.isArray(value)) {
    const items = value.map(canonical)
    return items.includes(undefined) ? undefined : `[${items.join(",")}]`
  }
  if (typeof value !== "object") return undefined
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return undefined
  const fields: Array<string> = []
  for (const [name, field] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (field === undefined) continue
    const text = canonical(field)
    if (text === undefined || !name.isWellFormed()) return undefined
    fields.push(`${JSON.stringify(name)}:${text}`)
  }
  return `{${fields.join(",")}}`
}
