import * as Redacted from "effect/Redacted"

/** Shortens a server's text to one line for an error message, without the key. */
export type Excerpt = (text: string) => string

const longestExcerpt = 300

export const makeExcerpt = (key: Redacted.Redacted | undefined): Excerpt => (text) => {
  const safe = key === undefined ? text : text.replace(keyPattern(Redacted.value(key)), "<redacted>")
  const line = safe.replace(/\s+/g, " ").trim()
  return line.length > longestExcerpt ? `${line.slice(0, longestExcerpt).toWellFormed()}…` : line
}

// JSON, URLs and HTML each escape characters of a key, and a server may mix them.
const keyPattern = (key: string): RegExp =>
  new RegExp([...key].map((char) => `\\\\{0,16}(?:${escapesOf(char).join("|")})`).join(""), "gi")

const escapesOf = (char: string): ReadonlyArray<string> => {
  const code = char.charCodeAt(0)
  const hex = code.toString(16).padStart(2, "0")
  const entity = htmlEntities[char]
  return [
    char.replace(/[^\w ]/, "\\$&"),
    `u00${hex}`,
    `%(?:25){0,2}${hex}`,
    `&#0{0,6}${code};`,
    `&#x0{0,6}${hex};`,
    ...entity === undefined ? [] : [entity]
  ]
}

const htmlEntities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&apos;" }
