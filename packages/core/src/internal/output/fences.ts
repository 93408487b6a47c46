/** A fenced code block of Markdown. Indices are into the text. */
export interface Fence {
  /** The offset of its first line. */
  readonly start: number
  /** The number of spaces before its marker. */
  readonly indent: number
  /** The text behind its opening marker. */
  readonly info: string
  readonly bodyStart: number
  /** The end of its body, before the line break in front of the closing marker. */
  bodyEnd: number
  /** The offset of the line behind it. */
  end: number
  isClosed: boolean
}

/** The marker of a fence, at the beginning of a line. */
interface Marker {
  readonly char: number
  readonly length: number
  readonly indent: number
  readonly info: string
}

const newline = 10
const carriageReturn = 13
const space = 32
const backtick = 96
const tilde = 126

/** The fences of a text, by CommonMark 0.31, section 4.5. An unclosed fence extends to the end. */
export const fencesOf = (text: string): ReadonlyArray<Fence> => {
  const fences: Array<Fence> = []
  let opener: Marker | undefined
  for (let line = 0; line < text.length;) {
    const lineBreak = text.indexOf("\n", line)
    const lineEnd = lineBreak === -1 ? text.length : lineBreak
    const next = Math.min(lineEnd + 1, text.length)
    const marker = markerAt(text, line, lineEnd)
    if (opener === undefined) {
      if (marker !== undefined && !(marker.char === backtick && marker.info.includes("`"))) {
        opener = marker
        const { indent, info } = marker
        fences.push({
          start: line,
          indent,
          info,
          bodyStart: next,
          bodyEnd: text.length,
          end: text.length,
          isClosed: false
        })
      }
    } else if (marker?.char === opener.char && marker.length >= opener.length && marker.info === "") {
      const fence = fences.at(-1)!
      fence.bodyEnd = withoutLineBreak(text, fence.bodyStart, line)
      fence.end = next
      fence.isClosed = true
      opener = undefined
    }
    line = lineEnd + 1
  }
  return fences
}

const markerAt = (text: string, line: number, lineEnd: number): Marker | undefined => {
  let start = line
  while (start - line < 3 && text.charCodeAt(start) === space) start++
  const char = text.charCodeAt(start)
  if (char !== backtick && char !== tilde) return undefined
  let end = start
  while (text.charCodeAt(end) === char) end++
  const length = end - start
  return length < 3 ? undefined : { char, length, indent: start - line, info: text.slice(end, lineEnd).trim() }
}

/** The first word behind the opening marker, in lower case. */
export const languageOf = ({ info }: Fence): string => /^\S*/.exec(info)![0].toLowerCase()

/** The lines between the markers. They lose the indent of the opening marker, as in CommonMark. */
export const bodyOf = (text: string, { bodyEnd, bodyStart, indent }: Fence): string => {
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
