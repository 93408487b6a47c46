import { languageOf } from "./languages.ts"

/** A part of a text in which the reader looks for no tags. Indices are into the text. */
export interface Block {
  readonly start: number
  end: number
  /** The reason why the end is unknown. Such a block extends to the end of the text. */
  problem?: string | undefined
}

/** A fenced code block of Markdown. It begins at its first line, or behind a tag in front of its marker. */
export interface Fence extends Block {
  readonly opener: Marker
  readonly language: string
  readonly bodyStart: number
  /** The end of its body, before the line break in front of the closing marker. */
  bodyEnd: number
}

/** The marker of a fence. */
export interface Marker {
  readonly char: number
  readonly length: number
  readonly start: number
  readonly end: number
  /** The number of spaces before it. */
  readonly indent: number
  /** The text behind it. */
  readonly info: string
}

const newline = 10
const carriageReturn = 13
const space = 32
const slash = 47
const less = 60
const greater = 62
const backtick = 96
const tilde = 126

const notClosed = "a code fence that is not closed"
export const ambiguous = "a code fence that holds another one of the same length, so that its end is ambiguous"

/** The marker at the beginning of a line, if it opens a fence. A tag may stand in front of it, as in "<answer>```json". */
export const openerAt = (text: string, line: number, lineEnd: number): Marker | undefined => {
  const start = afterTags(text, line)
  const marker = markerAt(text, start, lineEnd)
  if (marker === undefined || !opens(marker)) return undefined
  return start === line ? marker : { ...marker, indent: 0 }
}

// A tag may also stand directly behind a closing marker, as in "```</answer>".
const opens = ({ char, info }: Marker): boolean => !(char === backtick && info.includes("`")) && !info.startsWith("</")

const afterTags = (text: string, line: number): number => {
  let at = line
  for (;;) {
    let tag = at
    while (tag - at < 3 && text.charCodeAt(tag) === space) tag++
    if (text.charCodeAt(tag) !== less) return at
    let end = tag + 1
    for (let char; (char = text.charCodeAt(end)) > space && char !== less && char !== slash && char !== greater;) end++
    if (text.charCodeAt(end) !== greater || end === tag + 1) return at
    at = end + 1
  }
}

const markerAt = (text: string, line: number, lineEnd: number): Marker | undefined => {
  let start = line
  while (start - line < 3 && text.charCodeAt(start) === space) start++
  const char = text.charCodeAt(start)
  if (char !== backtick && char !== tilde) return undefined
  let end = start
  while (text.charCodeAt(end) === char) end++
  const length = end - start
  return length < 3
    ? undefined
    : { char, length, start: line, end, indent: start - line, info: text.slice(end, lineEnd).trim() }
}

/**
 * The fence of an opening marker, by CommonMark 0.31, section 4.5, with two exceptions: a marker that would open a fence of the
 * same length or a longer one makes the end ambiguous, and the line of a JSON may end with the closing marker.
 *
 * `stop` sees the lines of the body. It ends the reading when it returns `true`.
 */
export const fenceOf = (
  text: string,
  opener: Marker,
  lineEnd: number,
  stop: (line: number, lineEnd: number) => boolean
): Fence | undefined => {
  const language = languageOf(opener.info)
  const bodyStart = Math.min(lineEnd + 1, text.length)
  const fence: Fence = {
    start: opener.start,
    end: text.length,
    problem: notClosed,
    opener,
    language,
    bodyStart,
    bodyEnd: text.length
  }
  const close = (bodyEnd: number, end: number): Fence => {
    fence.bodyEnd = bodyEnd
    fence.end = Math.min(end, text.length)
    fence.problem = undefined
    return fence
  }
  let isAmbiguous = false
  let mayEndLine = language === "json" || language === ""
  for (let line = bodyStart; line < text.length;) {
    const lineBreak = text.indexOf("\n", line)
    const lineEnd = lineBreak === -1 ? text.length : lineBreak
    if (stop(line, lineEnd)) return undefined
    const marker = markerAt(text, line, lineEnd)
    if (marker?.char === opener.char && marker.length >= opener.length) {
      const isBeforeTag = marker.info.startsWith("</")
      if (marker.info !== "" && !isBeforeTag) {
        isAmbiguous ||= opens(marker)
      } else if (isAmbiguous) {
        fence.problem = ambiguous
      } else {
        return close(withoutLineBreak(text, bodyStart, line), isBeforeTag ? marker.end : lineEnd + 1)
      }
    } else if (mayEndLine) {
      const end = markerAtEnd(text, line, lineEnd, opener)
      if (end !== undefined) {
        // Only the first such line may end JSON, because JSON has no markers outside of its strings.
        mayEndLine = false
        if (isJson(text.slice(bodyStart, end))) return close(end, lineEnd + 1)
      }
    }
    line = lineEnd + 1
  }
  return fence
}

/** Whether the lines behind a fence of Markdown may belong to it, because its last line may have opened a fence in it. */
export const mayGoOn = ({ language, opener }: Fence, next: Marker): boolean =>
  language === "markdown" && next.info === "" && next.char === opener.char && next.length >= opener.length

const markerAtEnd = (text: string, line: number, lineEnd: number, opener: Marker): number | undefined => {
  let end = lineEnd
  while (end > line && text.charCodeAt(end - 1) <= space) end--
  let start = end
  while (start > line && text.charCodeAt(start - 1) === opener.char) start--
  return end - start >= opener.length ? start : undefined
}

/** Whether a text is JSON. */
export const isJson = (text: string): boolean => {
  // An error costs much more than this look at the beginning.
  if (!/^[\t\n\r ]*["[{\-\dtfn]/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The lines between the markers. They lose the indent of the opening marker, as in CommonMark. */
export const bodyOf = (text: string, { bodyEnd, bodyStart, opener: { indent } }: Fence): string => {
  const body = text.slice(bodyStart, bodyEnd)
  return indent === 0 ? body : body.split("\n").map((line) => {
    let from = 0
    while (from < indent && line.charCodeAt(from) === space) from++
    return line.slice(from)
  }).join("\n")
}

/** The end of a text without the line break at its end. */
export const withoutLineBreak = (text: string, start: number, end: number): number => {
  if (end === start || text.charCodeAt(end - 1) !== newline) return end
  return end - 1 > start && text.charCodeAt(end - 2) === carriageReturn ? end - 2 : end - 1
}
