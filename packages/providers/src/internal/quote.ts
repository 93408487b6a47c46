import * as Redacted from "effect/Redacted"

/** Quotes a text of a server in a message: in one line, short, and without the key. */
export type Quote = (text: string) => string

const longest = 300

export const quoting = (key: Redacted.Redacted | undefined): Quote => (text) => {
  const safe = key === undefined ? text : text.replace(pattern(Redacted.value(key)), "<redacted>")
  const line = safe.replace(/\s+/g, " ").trim()
  return line.length > longest ? `${line.slice(0, longest).toWellFormed()}…` : line
}

// The key as it is, and as JSON, a URL or HTML escapes it, each of its characters by itself.
const pattern = (key: string): RegExp =>
  new RegExp([...key].map((char) => `\\\\{0,16}(?:${forms(char).join("|")})`).join(""), "gi")

const forms = (char: string): ReadonlyArray<string> => {
  const code = char.charCodeAt(0)
  const hex = code.toString(16).padStart(2, "0")
  const names = entities[char]
  return [
    char.replace(/[^\w ]/, "\\$&"),
    `u00${hex}`,
    `%(?:25){0,2}${hex}`,
    `&#0{0,6}${code};`,
    `&#x0{0,6}${hex};`,
    ...names === undefined ? [] : [names]
  ]
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&apos;" }
