import type { Taken } from "@llm-cache/core/TraceIndex"
import * as SequencePicture from "../../SequencePicture.ts"
import { forkLabel, forkName, letters, nameOfRun } from "../format.ts"
import { type Html, html, trusted } from "../html.ts"
import { visible } from "../visible.ts"
import type { PromptData } from "./promptData.ts"

/** The most positions of a picture, and the most readers of a run. */
const most = 20
const mostReaders = 24

/** The samples that an attempt, a fork or an Independent took. */
export interface Reader {
  readonly label: string
  readonly path: ReadonlyArray<string>
  /** In ascending order, each once. */
  readonly taken: ReadonlyArray<Taken>
}

/** The readers of a run, in the order of their first draws. */
export const readersOf = (taken: ReadonlyArray<Taken>): ReadonlyArray<Reader> => {
  const readers = new Map<
    string,
    { readonly label: string; readonly path: ReadonlyArray<string>; taken: Map<number, Taken> }
  >()
  // A number tells the Independents of a fork apart. One alone is the fork itself.
  const independents = new Map<string, Set<number | undefined>>()
  for (const { independent, path, reader } of taken) {
    if (reader !== undefined) continue
    const fork = forkLabel(path)
    independents.set(fork, (independents.get(fork) ?? new Set()).add(independent))
  }
  for (const one of taken) {
    const name = JSON.stringify([
      one.path,
      one.reader ?? null,
      one.reader === undefined ? one.independent ?? null : null
    ])
    let reader = readers.get(name)
    if (reader === undefined) {
      readers.set(
        name,
        reader = {
          label: labelOf(one, (independents.get(forkLabel(one.path))?.size ?? 0) > 1),
          path: one.path,
          taken: new Map()
        }
      )
    }
    const known = reader.taken.get(one.position)
    if (known === undefined || one.isRacing || known.outcome === "reread") reader.taken.set(one.position, one)
  }
  return Array.from(readers.values(), ({ taken, ...reader }) => ({
    ...reader,
    taken: [...taken.values()].toSorted((a, b) => a.position - b.position)
  }))
}

const labelOf = ({ independent, path, reader }: Taken, isSeveral: boolean): string => {
  const fork = forkLabel(path)
  const name = typeof reader === "number"
    ? `attempt ${reader}`
    : reader === undefined || reader === ""
    ? isSeveral && independent !== undefined ? `Independent ${independent}` : fork === "" ? "the run" : ""
    : /\/repeatable\/([^/]*)/.exec(reader)?.[1] ?? reader.replaceAll("/", " ").trim()
  return [forkName(path), decode(name)].filter((text) => text !== "").join(", ")
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const colors: SequencePicture.Colors = {
  text: "var(--text)",
  faint: "var(--faint)",
  line: "var(--line)",
  cell: "var(--cell)",
  sequence: "var(--sequence)",
  fork: "var(--fork)",
  bought: "var(--bought)",
  missed: "var(--missed)",
  racing: "var(--racing)"
}

/** The sequences of a prompt and their readers: the picture of the README, with the samples of the cache. */
export const pictureOf = ({ from, groups, runs, sequences }: PromptData): Html => {
  const last = Math.max(
    -1,
    ...sequences.flatMap(({ samples }) => samples.map(({ position }) => position)),
    ...runs.flatMap(({ taken }) => taken.map(({ position }) => position))
  )
  const columns = Math.max(1, Math.min(most, last - from + 1))
  const isShort = groups.every(({ text }) => text.length > 0 && text.length <= 5 && !/\s/.test(text))
  const cellOf = (path: ReadonlyArray<string>, position: number): string | undefined => {
    const sample = sequences.find((one) => forkLabel(one.path) === forkLabel(path))?.samples
      .find((one) => one.position === position)
    return sample && (isShort ? visible(sample.drawn.text) : letters(sample.group))
  }
  const positions = Array.from({ length: columns }, (_, i) => from + i)
  const readers = runs.map(({ id, taken }) => ({ id, readers: readersOf(taken) }))
  const hidden = readers.reduce((sum, { readers }) => sum + Math.max(0, readers.length - mostReaders), 0)
  const label = (text: string) => text.length > 20 ? `${text.slice(0, 19).toWellFormed()}…` : text
  const isShared = sequences.length <= 1
  const taken = runs.flatMap(({ taken }) => taken.filter((one) => positions.includes(one.position)).map(colorOf))
  const shown = (Object.keys(meanings) as Array<keyof typeof meanings>).filter((color) => taken.includes(color))
  const svg = SequencePicture.draw({
    title: visible(describe(readers.flatMap(({ readers }) => readers))),
    sequences: sequences.slice(0, 8).map(({ path }) => ({
      label: label(path.length === 0 ? "sequence" : visible(forkName(path))),
      color: path.length === 0 ? "sequence" : "fork",
      isSequence: true,
      samples: positions.map((position) => cellOf(path, position))
    })),
    groups: readers.map(({ id, readers }) => ({
      title: visible(nameOfRun(id)),
      meaning: meaningOf(readers, isShared),
      rows: readers.slice(0, mostReaders).map(({ label: name, path, taken }) => {
        const at = positions.map((position) => taken.find((one) => one.position === position))
        return {
          label: label(visible(name)),
          color: path.length === 0 ? "sequence" as const : "fork" as const,
          samples: at.map((one) => one && (cellOf(path, one.position) ?? (one.outcome === "missed" ? "?" : "·"))),
          colors: at.map((one) => {
            const color = one && colorOf(one)
            return color === "sequence" || color === "fork" ? undefined : color
          })
        }
      })
    })),
    columns,
    first: from,
    goesOn: last >= from + columns || sequences.some(({ total }) => total > from + columns),
    colors,
    left: 170,
    column: isShort ? 58 : 46,
    cell: isShort ? 50 : 38,
    fontSize: 14
  })
  return html`<div class="scroll picture" tabindex="0" role="region" aria-label="Picture of the sequence">${
    trusted(svg)
  }</div>
<p class="legend">${isShort ? "" : "Equal letters are equal answers. "}${
    shown.map((color) => html`<span class="key ${color}">${meanings[color]}</span> `)
  }${hidden > 0 && html` <span class="faint">and ${hidden} more readers</span>`}</p>`
}

/** What the colors of readers mean, in the order of the legend. */
const meanings = {
  sequence: "replayed",
  fork: "replayed in a fork",
  bought: "bought",
  racing: "racing",
  missed: "missed"
}

const colorOf = ({ isRacing, outcome, path }: Taken): keyof typeof meanings =>
  isRacing
    ? "racing"
    : outcome === "missed" || outcome === "failed"
    ? "missed"
    : outcome === "bought" || outcome === "requested"
    ? "bought"
    : path.length > 0
    ? "fork"
    : "sequence"

const describe = (readers: ReadonlyArray<Reader>): string =>
  readers.length === 0
    ? "The samples of the sequence"
    : readers.slice(0, 10).map(({ label, taken }) =>
      `${label} took ${taken.length === 1 ? "position" : "positions"} ${
        taken.map(({ position }) => position).slice(0, 20).join(", ")
      }`
    ).join("; ")

/** Whether the readers of a run share samples. */
const meaningOf = (readers: ReadonlyArray<Reader>, isShared: boolean): string => {
  if (readers.length === 0) return "took none of these"
  if (readers.length === 1) return ""
  if (!isShared) return `${readers.length} readers`
  const seen = new Set<number>()
  let shared = 0
  for (const { taken } of readers) {
    for (const { position } of taken) {
      if (seen.size === seen.add(position).size) shared++
    }
  }
  return shared === 0
    ? `${readers.length} readers, which share nothing`
    : `${readers.length} readers, which share samples`
}
