/**
 * Characters that a reader does not see, or that change the order or the look of others: controls, bidirectional controls, lone
 * surrogates, line separators, and invisible characters that join nothing.
 */
const hidden =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u00AD\u180E\u200B\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/gu

/** A text with its hidden characters as `\u202e`. Line feeds and tabs stay. */
export const visible = (text: string): string =>
  text.replace(hidden, (character) => isPlain(character) ? character : escapeOf(character))

/** A text in pieces, which are its hidden characters and the texts between them. Line feeds and tabs stay. */
export const pieces = (text: string): ReadonlyArray<{ readonly text: string; readonly isHidden: boolean }> =>
  text.split(separators).map((piece, i) =>
    i % 2 === 0 || isPlain(piece) ? { text: piece, isHidden: false } : { text: escapeOf(piece), isHidden: true }
  )

const separators = new RegExp(`(${hidden.source})`, "u")

const isPlain = (character: string): boolean => character === "\n" || character === "\t"

const escapeOf = (character: string): string =>
  character === "\r"
    ? "\\r"
    : Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`
    ).join("")

/** JSON without hidden characters. It is parsed to the same value. */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).replace(
    hidden,
    (character) => character === "\n" ? character : character === "\r" ? "\\r" : escapeOf(character)
  )

/** The start of a text as one line. */
export const excerpt = (text: string, length = 120): string => {
  const start = text.trimStart().slice(0, length * 2).replace(/\s+/gu, " ").trimEnd()
  return start.length > length ? `${start.slice(0, length).toWellFormed()}…` : start.toWellFormed()
}
