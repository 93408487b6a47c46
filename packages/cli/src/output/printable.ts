import { escape, pattern } from "@llm-cache/inspector/HiddenCharacters"

/** A text that a terminal shows as it is. With `lines`, line feeds and tabs stay. */
export const printable = (text: string, options?: { readonly lines?: boolean | undefined }): string =>
  text.replace(
    pattern,
    (character) => options?.lines && (character === "\n" || character === "\t") ? character : escape(character)
  )

/** A text as a field of a line of tab-separated fields. `\` is escaped too, so that the text can be read back. */
export const field = (text: string): string => printable(text.replaceAll("\\", "\\\\"))

/** JSON in one line, without characters that a terminal would act upon. It is parsed to the same value. */
export const jsonLine = (value: unknown): string => JSON.stringify(value).replace(pattern, escape)

/** The start of a text as one line without runs of white space. */
export const excerpt = (text: string, length = 200): string => {
  const start = text.trimStart().slice(0, length * 2).replace(/\s+/gu, " ").trimEnd()
  return printable(start.length > length ? start.slice(0, length).toWellFormed() : start)
}

/** A printable text with each of its lines indented. */
export const indent = (text: string): string => text.replace(/^/gm, "  ")
