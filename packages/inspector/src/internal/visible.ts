import { escape, pattern } from "../HiddenCharacters.ts"

/** A text with its hidden characters as `\u202e`. Line feeds and tabs stay. */
export const visible = (text: string): string =>
  text.replace(pattern, (character) => isPlain(character) ? character : escape(character))

/** A text in pieces, which are its hidden characters and the texts between them. Line feeds and tabs stay. */
export const pieces = (text: string): ReadonlyArray<{ readonly text: string; readonly isHidden: boolean }> =>
  text.split(separators).map((piece, i) =>
    i % 2 === 0 || isPlain(piece) ? { text: piece, isHidden: false } : { text: escape(piece), isHidden: true }
  )

const separators = new RegExp(`(${pattern.source})`, "u")

const isPlain = (character: string): boolean => character === "\n" || character === "\t"

/** JSON without hidden characters. It is parsed to the same value. */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).replace(
    pattern,
    (character) => character === "\n" ? character : escape(character)
  )

/** The start of a text as one line. */
export const excerpt = (text: string, length = 120): string => {
  const start = text.trimStart().slice(0, length * 2).replace(/\s+/gu, " ").trimEnd()
  return start.length > length ? `${start.slice(0, length).toWellFormed()}…` : start.toWellFormed()
}
