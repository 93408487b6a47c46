// Spaces and marks that look like nothing, or like a plain space.
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu

/** The part of a text around an index, as a quoted string with visible escapes. */
export const excerpt = (text: string, at: number, after = 30): string => {
  const from = Math.max(0, at - 20)
  const to = Math.min(text.length, at + after)
  const quoted = JSON.stringify(text.slice(from, to).toWellFormed()).replace(invisible, escape)
  return `${from > 0 ? "…" : ""}${quoted}${to < text.length ? "…" : ""}`
}

/** A short text itself, or the excerpt of a long one. */
export const shorten = (text: string, at: number): string => text.length <= 50 ? text : excerpt(text, at)

/** The excerpts of two texts where they differ, with code points if the characters there look alike. */
export const contrast = (one: string, other: string, at: number): readonly [string, string] => {
  const start = isLowSurrogate(one, at) || isLowSurrogate(other, at) ? at - 1 : at
  const [first, second] = [characterAt(one, start), characterAt(other, start)]
  const looksAlike = !(visible.test(first) && visible.test(second)) || alike.test(`${first}${second}`)
  const excerptOf = (text: string, character: string) =>
    looksAlike ? `${excerpt(text, at)} (${codePoints(character)})` : excerpt(text, at)
  return [excerptOf(one, first), excerptOf(other, second)]
}

const visible = /^[!-~]$/
const alike = /^(?:[0O]{2}|[1Il|]{2}|['`]{2})$/

// A character and its combining marks.
const characterAt = (text: string, at: number): string =>
  /^.(?:[\p{M}\p{Cf}]{0,3})/su.exec(text.slice(at, at + 9).toWellFormed())?.[0] ?? ""

const codePoints = (character: string): string =>
  character === "" ? "the end" : Array.from(character, (one) => `U+${hex(one.codePointAt(0)!)}`).join(" ")

const escape = (character: string): string => {
  const code = character.codePointAt(0)!
  return code > 0xffff ? `\\u{${hex(code)}}` : `\\u${hex(code).toLowerCase()}`
}

const hex = (code: number): string => code.toString(16).toUpperCase().padStart(4, "0")

const isLowSurrogate = (text: string, at: number): boolean => /^[\udc00-\udfff]/.test(text.slice(at, at + 1))
