/** Columns on a terminal. */
import { displayWidth } from "effect/cli/CliOutput"

/** A column of a command's rows, as a terminal shows it. */
export interface Column<in Row> {
  readonly title: string
  /** Its text for a row, without control characters (see `printable`). */
  readonly text: (row: Row) => string
  /**
   * The side of the column that the text is at.
   *
   * @default "left"
   */
  readonly align?: "left" | "right" | undefined
  /** Whether it gives up its space on a narrow terminal. */
  readonly shrinks?: boolean | undefined
}

/** How the columns share the width of the terminal. Without widths, each row takes several lines. */
export interface Layout {
  readonly widths: ReadonlyArray<number> | undefined
  readonly total: number
}

const gap = 2

/** The least width of a column that shrinks. */
const leastWidth = 16

// Measuring a text by its graphemes is slow.
const widthOf = (text: string): number => /^[ -~]*$/.test(text) ? text.length : displayWidth(text)

/** Decides the widths of the columns by the first rows. */
export const layoutOf = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  rows: ReadonlyArray<Row>,
  total: number
): Layout => {
  const widths = columns.map(({ text, title }) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(text(row))), widthOf(title))
  )
  let excess = widths.reduce((sum, width) => sum + width + gap, -gap) - total
  for (const [i, { shrinks }] of columns.entries()) {
    if (!shrinks || excess <= 0) continue
    const least = Math.min(widths[i]!, Math.max(leastWidth, widthOf(columns[i]!.title)))
    const given = Math.min(excess, widths[i]! - least)
    widths[i]! -= given
    excess -= given
  }
  return { widths: excess > 0 ? undefined : widths, total }
}

/** The titles as a line; none if no column has one, or if each row takes several lines, since they have the titles. */
export const header = <Row>(columns: ReadonlyArray<Column<Row>>, { widths }: Layout): string | undefined =>
  widths && columns.some(({ title }) => title !== "")
    ? line(columns, columns.map(({ title }) => title), widths)
    : undefined

/** A row as one line, or as several on a narrow terminal. */
export const row = <Row>(columns: ReadonlyArray<Column<Row>>, row: Row, { total, widths }: Layout): string =>
  widths
    ? line(columns, columns.map(({ text }) => text(row)), widths)
    : paragraph(columns, row, total)

const line = <Row>(
  columns: ReadonlyArray<Column<Row>>,
  texts: ReadonlyArray<string>,
  widths: ReadonlyArray<number>
): string =>
  columns.map(({ align, shrinks }, i) => {
    const text = shrinks ? truncate(texts[i]!, widths[i]!) : texts[i]!
    const space = " ".repeat(Math.max(0, widths[i]! - widthOf(text)))
    return align === "right" ? space + text : text + space
  }).join(" ".repeat(gap)).trimEnd()

// The first column, and below it the others with their titles.
const paragraph = <Row>(columns: ReadonlyArray<Column<Row>>, row: Row, total: number): string => {
  const [first, ...others] = columns
  const lines = [truncate(first!.text(row), total)]
  let last = ""
  for (const { text, title } of others) {
    const value = text(row)
    if (value === "") continue
    const part = truncate(`${title.toLowerCase()} ${value}`, total - gap)
    if (last !== "" && widthOf(last) + gap + widthOf(part) > total) {
      lines.push(last)
      last = ""
    }
    last = last === "" ? `  ${part}` : `${last}  ${part}`
  }
  return last === "" ? lines.join("\n") : [...lines, last].join("\n")
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** The start of a text that fits, with `…` if it is not the whole. */
export const truncate = (text: string, width: number): string => {
  if (widthOf(text) <= width) return text
  let start = ""
  let used = 1
  for (const { segment } of graphemes.segment(text)) {
    used += widthOf(segment)
    if (used > width) break
    start += segment
  }
  return `${start}…`
}
