/**
 * Draws the picture of the README, once for each of GitHub's color schemes: a sequence of samples, and the samples that each
 * kind of model reads of it. `--check` fails instead if the files are not up to date.
 */
import { writeOrCheck } from "./writeOrCheck.ts"

interface Colors {
  readonly text: string
  readonly faint: string
  readonly line: string
  readonly cell: string
  readonly sequence: string
  readonly fork: string
}

const light: Colors = {
  text: "#1f2328",
  faint: "#59636e",
  line: "#d1d9e0",
  cell: "#ffffff",
  sequence: "#0969da",
  fork: "#8250df"
}

const dark: Colors = {
  text: "#f0f6fc",
  faint: "#9198a1",
  line: "#3d444d",
  cell: "#0d1117",
  sequence: "#4493f8",
  fork: "#ab7df8"
}

interface Row {
  readonly label: string
  readonly color: "sequence" | "fork"
  /** The texts by position. */
  readonly samples: ReadonlyArray<string | undefined>
  /** Whether the samples are the sequence itself, and not a reading of it. */
  readonly isSequence?: boolean
  /** A text in place of the positions that nobody reads. */
  readonly note?: string
}

interface Group {
  readonly title: string
  readonly meaning: string
  readonly rows: ReadonlyArray<Row>
}

const samples = ["92", "747", "131", "561", "16"]

/** The samples at some positions. */
const at = (...positions: ReadonlyArray<number>) => samples.map((text, i) => positions.includes(i) ? text : undefined)

const groups: ReadonlyArray<Group> = [
  {
    title: "Repeatable, Persistent",
    meaning: "every run reads from position 0",
    rows: [
      { label: "run 1", color: "sequence", samples: at(0, 1) },
      { label: "run 2", color: "sequence", samples: at(0, 1, 2) }
    ]
  },
  {
    title: "Independent",
    meaning: "hands out each position once",
    rows: [
      { label: "run 1", color: "sequence", samples: at(0, 1) },
      { label: "run 2", color: "sequence", samples: at(2, 3, 4) }
    ]
  },
  {
    title: "Attempt.retry",
    meaning: "each attempt reads new samples",
    rows: [
      { label: "attempt 1", color: "sequence", samples: at(0), note: "all its steps read 92; it fails" },
      { label: "attempt 2", color: "sequence", samples: at(1), note: "all its steps read 747" }
    ]
  },
  {
    title: "Fork",
    meaning: "each name has its own sequence",
    rows: [
      { label: "agent-a", color: "fork", samples: ["808", "345", "270", "621", "9"], isSequence: true },
      { label: "agent-b", color: "fork", samples: ["58", "413", "77", "902", "230"], isSequence: true }
    ]
  }
]

const width = 480
const left = 94
const column = 73
const cell = { width: 62, height: 28 }
const font = `font-family="-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"`

const draw = (colors: Colors): string => {
  const shapes: Array<string> = []
  const text = (x: number, y: number, content: string, color: string, more = "") =>
    shapes.push(`<text x="${x}" y="${y}" fill="${color}" ${more}>${content}</text>`)
  const drawRow = (y: number, { color, isSequence, label, note, samples }: Row) => {
    text(2, y + 20, label, colors.text)
    const shown = note === undefined
      ? samples
      : samples.slice(0, samples.findLastIndex((sample) => sample !== undefined) + 1)
    shown.forEach((sample, position) => {
      const x = left + position * column
      const box = `x="${x}" y="${y}" width="${cell.width}" height="${cell.height}" rx="6"`
      if (sample === undefined) {
        shapes.push(`<rect ${box} fill="none" stroke="${colors.line}" stroke-dasharray="3 4"/>`)
      } else {
        const fill = isSequence ? colors[color] : "none"
        shapes.push(`<rect ${box} fill="${fill}" stroke="${colors[color]}" stroke-width="2"/>`)
        text(
          x + cell.width / 2,
          y + 20,
          sample,
          isSequence ? colors.cell : colors[color],
          `text-anchor="middle" font-weight="600"`
        )
      }
    })
    if (note !== undefined) text(left + shown.length * column, y + 20, note, colors.faint)
  }
  let y = 26
  text(2, y, "“Choose a number between 1 and 1000.”", colors.text, `font-weight="600"`)
  y += 30
  text(2, y, "position", colors.faint)
  samples.forEach((_, i) =>
    text(left + i * column + cell.width / 2, y, String(i), colors.faint, `text-anchor="middle"`)
  )
  y += 12
  drawRow(y, { label: "sequence", color: "sequence", samples, isSequence: true })
  text(left + samples.length * column, y + 20, "…", colors.faint)
  y += cell.height
  for (const { meaning, rows, title } of groups) {
    y += 20
    shapes.push(`<line x1="2" y1="${y}" x2="${width - 2}" y2="${y}" stroke="${colors.line}"/>`)
    y += 26
    shapes.push(
      `<text x="2" y="${y}" fill="${colors.text}"><tspan font-weight="600">${title}</tspan><tspan dx="8" fill="${colors.faint}">${meaning}</tspan></text>`
    )
    y += 12
    for (const row of rows) {
      drawRow(y, row)
      y += cell.height + 8
    }
    y -= 8
  }
  const height = y + 8
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-size="16" ${font}>
<title>A sequence of samples, and the samples that each kind of model reads of it</title>
${shapes.join("\n")}
</svg>
`
}

writeOrCheck("docs/sequence-light.svg", draw(light))
writeOrCheck("docs/sequence-dark.svg", draw(dark))
