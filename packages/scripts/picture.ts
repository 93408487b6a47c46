/**
 * Draws the picture of the README, once for each of GitHub's color schemes: a sequence of samples, and the samples that each
 * kind of model reads of it. `--check` fails instead if the files are not up to date.
 */
import { type Colors, draw, type Group } from "@llm-cache/inspector/SequencePicture"
import { writeOrCheck } from "./writeOrCheck.ts"

const light: Colors = {
  text: "#1f2328",
  faint: "#59636e",
  line: "#d1d9e0",
  cell: "#ffffff",
  sequence: "#0969da",
  fork: "#8250df",
  bought: "#9a6700",
  missed: "#d1242f",
  racing: "#bf3989"
}

const dark: Colors = {
  text: "#f0f6fc",
  faint: "#9198a1",
  line: "#3d444d",
  cell: "#0d1117",
  sequence: "#4493f8",
  fork: "#ab7df8",
  bought: "#d29922",
  missed: "#f85149",
  racing: "#db61a2"
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

const font = "-apple-system, BlinkMacSystemFont, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"

const picture = (colors: Colors): string =>
  draw({
    title: "A sequence of samples, and the samples that each kind of model reads of it",
    heading: "“Choose a number between 1 and 1000.”",
    sequences: [{ label: "sequence", color: "sequence", samples, isSequence: true }],
    groups,
    columns: samples.length,
    goesOn: true,
    colors,
    left: 94,
    column: 73,
    cell: 62,
    width: 480,
    font
  })

writeOrCheck("docs/sequence-light.svg", picture(light))
writeOrCheck("docs/sequence-dark.svg", picture(dark))
