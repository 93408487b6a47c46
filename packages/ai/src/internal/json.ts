import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

/** A value that JSON cannot hold, and where it is. */
export class NoJson extends Error {}

/**
 * The JSON of a value as `JSON.stringify` gives it, with the names of every object in order if `sorted`. Throws `NoJson`
 * where `JSON.stringify` would lose something or show a secret.
 */
export const write = (value: unknown, place: string, sorted: boolean): string =>
  writeInto(value, place, sorted, []) ?? "null"

const writeInto = (
  value: unknown,
  place: string,
  sorted: boolean,
  parents: ReadonlyArray<object>
): string | undefined => {
  if (value === undefined) return undefined
  if (value === null || typeof value === "string" || typeof value === "boolean") return JSON.stringify(value)
  if (typeof value === "object") return writeObject(value, place, sorted, parents)
  if (typeof value !== "number") throw noJson(place, `a ${typeof value}`)
  if (!Number.isFinite(value)) throw noJson(place, `the number ${value}`)
  return JSON.stringify(value)
}

const writeObject = (
  value: object,
  place: string,
  sorted: boolean,
  parents: ReadonlyArray<object>
): string | undefined => {
  if (parents.includes(value)) throw noJson(place, "a reference to itself")
  const inside = [...parents, value]
  if (Array.isArray(value)) {
    return `[${value.map((item, i) => writeInto(item, `${place}[${i}]`, sorted, inside) ?? "null").join(",")}]`
  }
  // All of them print alike, so two secrets would be one.
  if (Redacted.isRedacted(value)) throw noJson(place, "a Redacted")
  if (value instanceof Map || value instanceof Set) throw noJson(place, `a ${value.constructor.name}`)
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) throw noJson(place, "bytes")
  if (value instanceof Date && Number.isNaN(value.getTime())) throw noJson(place, "an invalid Date")
  // Its own `toJSON` writes its value, a secret too.
  if (Option.isOption(value)) return writeOption(value, place, sorted, inside)
  if (!DateTime.isDateTime(value) && !Predicate.hasProperty(value, "toJSON")) {
    return writeFields(value, place, sorted, inside)
  }
  const json: unknown = typeof value.toJSON === "function" ? value.toJSON() : value
  return json === value ? writeFields(value, place, sorted, inside) : writeInto(json, place, sorted, inside)
}

const writeOption = (
  option: Option.Option<unknown>,
  place: string,
  sorted: boolean,
  parents: ReadonlyArray<object>
): string =>
  Option.isNone(option)
    ? `{"_id":"Option","_tag":"None"}`
    : `{"_id":"Option","_tag":"Some","value":${writeInto(option.value, `${place}.value`, sorted, parents) ?? "null"}}`

const writeFields = (value: object, place: string, sorted: boolean, parents: ReadonlyArray<object>): string => {
  const entries = Object.entries(value)
  if (sorted) entries.sort(([a], [b]) => (a < b ? -1 : 1))
  const fields: Array<string> = []
  for (const [name, field] of entries) {
    const text = writeInto(field, `${place}.${name}`, sorted, parents)
    if (text !== undefined) fields.push(`${JSON.stringify(name)}:${text}`)
  }
  return `{${fields.join(",")}}`
}

const noJson = (place: string, what: string) =>
  new NoJson(
    `${place} is ${what}, which JSON cannot hold: give a text, a finite number, a boolean, a list or an object`
  )
