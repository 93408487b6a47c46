import * as Redacted from "effect/Redacted"

/** Shortens a server's text to one line for an error message, without secrets. */
export type Excerpt = (text: string) => string

const longestExcerpt = 300

/** A short key, such as `none`, is no secret, and is found in other words. */
const shortestSecret = 8

export const makeExcerpt = (secrets: ReadonlyArray<Redacted.Redacted>): Excerpt => {
  const patterns = secrets.map((secret) => Redacted.value(secret).trim())
    .filter((secret) => secret.length >= shortestSecret)
    .map(secretPattern)
  return (text) => {
    const safe = patterns.reduce((text, pattern) => text.replace(pattern, "<redacted>"), text)
    const line = safe.replace(/\s+/g, " ").trim()
    return visible(line.length > longestExcerpt ? `${line.slice(0, longestExcerpt).toWellFormed()}…` : line)
  }
}

/** Escapes control characters and marks of writing direction, with which a text could take over a terminal. */
export const visible = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Bidi_Control}]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

// JSON, URLs and HTML each escape characters of a key, and a server may mix them.
const secretPattern = (secret: string): RegExp =>
  new RegExp([...secret].map((char) => `\\\\{0,16}(?:${escapesOf(char).join("|")})`).join(""), "gi")

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
