/**
 * A picture of sequences of samples, and of the samples that each reader took of them: the one of the README, and those of the
 * inspector.
 *
 * @since 0.1.0
 */

/**
 * Colors of SVG.
 *
 * @category models
 * @since 0.1.0
 */
export interface Colors {
  readonly text: string
  readonly faint: string
  readonly line: string
  /** The text in a filled cell. */
  readonly cell: string
  readonly sequence: string
  readonly fork: string
  readonly bought: string
  readonly missed: string
  readonly racing: string
}

/**
 * A row of samples.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly label: string
  readonly color: "sequence" | "fork"
  /** The texts by position. */
  readonly samples: ReadonlyArray<string | undefined>
  /** Whether the samples are the sequence itself, and not a reading of it. */
  readonly isSequence?: boolean
  /** A text in place of the positions that nobody reads. */
  readonly note?: string | undefined
  /** The colors of some samples, by position. */
  readonly colors?: ReadonlyArray<"bought" | "missed" | "racing" | undefined> | undefined
}

/**
 * Rows below a title.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group {
  readonly title: string
  readonly meaning: string
  readonly rows: ReadonlyArray<Row>
}

/**
 * The parts of a picture.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The name of the picture, for screen readers. */
  readonly title: string
  /** A line above it. */
  readonly heading?: string | undefined
  /** The rows right below the positions. */
  readonly sequences: ReadonlyArray<Row>
  readonly groups: ReadonlyArray<Group>
  /** How many positions there are, and the first of them. */
  readonly columns: number
  readonly first?: number | undefined
  /** Whether the sequences go on behind the last position. */
  readonly goesOn: boolean
  readonly colors: Colors
  /** Widths in pixels: of the labels, of a position, and of its cell. */
  readonly left: number
  readonly column: number
  readonly cell: number
  /** @default wide enough for all positions */
  readonly width?: number | undefined
  readonly fontSize?: number | undefined
  readonly font?: string | undefined
}

const height = 28

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/**
 * The picture as SVG.
 *
 * @category drawing
 * @since 0.1.0
 */
export const draw = (options: Options): string => {
  const { colors, column, columns, first = 0, groups, left } = options
  const width = options.width ?? left + columns * column + (options.goesOn ? 24 : 0)
  const shapes: Array<string> = []
  const text = (x: number, y: number, content: string, color: string, more = "") =>
    shapes.push(`<text x="${x}" y="${y}" fill="${color}" ${more}>${escape(content)}</text>`)
  const drawRow = (y: number, { color, colors: marks, isSequence, label, note, samples }: Row) => {
    text(2, y + 20, label, colors.text)
    const shown = note === undefined
      ? samples
      : samples.slice(0, samples.findLastIndex((sample) => sample !== undefined) + 1)
    shown.forEach((sample, position) => {
      const x = left + position * column
      const box = `x="${x}" y="${y}" width="${options.cell}" height="${height}" rx="6"`
      if (sample === undefined) {
        shapes.push(`<rect ${box} fill="none" stroke="${colors.line}" stroke-dasharray="3 4"/>`)
      } else {
        const own = colors[marks?.[position] ?? color]
        shapes.push(`<rect ${box} fill="${isSequence ? own : "none"}" stroke="${own}" stroke-width="2"/>`)
        text(
          x + options.cell / 2,
          y + 20,
          sample,
          isSequence ? colors.cell : own,
          `text-anchor="middle" font-weight="600"`
        )
      }
    })
    if (note !== undefined) text(left + shown.length * column, y + 20, note, colors.faint)
  }
  let y = 26
  if (options.heading !== undefined) {
    text(2, y, options.heading, colors.text, `font-weight="600"`)
    y += 30
  }
  text(2, y, "position", colors.faint)
  for (let i = 0; i < columns; i++) {
    text(left + i * column + options.cell / 2, y, String(first + i), colors.faint, `text-anchor="middle"`)
  }
  y += 12
  for (const row of options.sequences) {
    drawRow(y, row)
    if (options.goesOn) text(left + columns * column, y + 20, "…", colors.faint)
    y += height + 8
  }
  if (options.sequences.length > 0) y -= 8
  for (const { meaning, rows, title } of groups) {
    y += 20
    shapes.push(`<line x1="2" y1="${y}" x2="${width - 2}" y2="${y}" stroke="${colors.line}"/>`)
    y += 26
    shapes.push(
      `<text x="2" y="${y}" fill="${colors.text}"><tspan font-weight="600">${
        escape(title)
      }</tspan><tspan dx="8" fill="${colors.faint}">${escape(meaning)}</tspan></text>`
    )
    y += 12
    for (const row of rows) {
      drawRow(y, row)
      y += height + 8
    }
    y -= 8
  }
  const font = options.font === undefined ? "" : ` font-family="${options.font}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 8}" width="${width}" height="${
    y + 8
  }" role="img" font-size="${options.fontSize ?? 16}"${font}>
<title>${escape(options.title)}</title>
${shapes.join("\n")}
</svg>
`
}
