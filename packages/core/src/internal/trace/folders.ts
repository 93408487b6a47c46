import { ifPresent, list as namesIn } from "../directory/files.ts"
import { runsFolder } from "../directory/samplePath.ts"
import { fromHome, stateFolder } from "../homeFolder.ts"
import { Fs, Path } from "../node.ts"
import type { Receipt } from "./entry.ts"

/** The receipt of a trace that had so many bytes. */
export interface Summary {
  readonly bytes: number
  readonly receipt: Receipt
}

/** The folder of the traces below a root. Without one, it is in the folder in which the user's programs keep state. */
export const runsIn = (root: string | undefined): string => {
  const above = root === undefined ? stateFolder() ?? Path.join(".local", "state", "llm-cache") : fromHome(root) ?? root
  return Path.join(Path.resolve(above), runsFolder)
}

/** The name of a run's file, without its ending. It sorts by time. */
export const fileName = (start: number, name: string): string =>
  // @effect-diagnostics-next-line globalDate:off
  `${new Date(start).toISOString().replaceAll(":", "-").replace(/\.\d+Z$/, (end) => `-${end.slice(1, -1)}`)}-${
    namePart(name)
  }`

/** The part of a file's name that tells the name of its run. Names that are long or unusual may share it. */
const namePart = (name: string): string =>
  encodeURIComponent(name.toWellFormed()).replace(/[*%.~'()!]/g, "_").slice(0, 100)

/** The folder with an empty file for each trace of a name. Where there are many traces, a list of all takes long. */
const marksOf = (folder: string, part: string): string => Path.join(folder, ".names", `-${part}`)

/** Lets `markedIds` find a trace. */
export const mark = (folder: string, name: string, id: string): void => {
  const marks = marksOf(folder, namePart(name))
  const write = () => Fs.writeFileSync(Path.join(marks, id), "", { mode: 0o600 })
  Fs.mkdirSync(marks, { recursive: true, mode: 0o700 })
  // Another process may have removed the folder, which was empty.
  if (ifPresent(() => (write(), true)) === undefined) {
    Fs.mkdirSync(marks, { recursive: true, mode: 0o700 })
    write()
  }
}

/** The traces that may be those of a run with a name. */
export const markedIds = (folder: string, name: string): ReadonlyArray<string> =>
  namesIn(marksOf(folder, namePart(name))).filter((id) => Fs.existsSync(Path.join(folder, `${id}.jsonl`)))

/** The folders that may have the mark of a trace. */
const marksOfId = (folder: string, id: string): ReadonlyArray<string> => {
  const part = id.slice(fileName(0, "").length)
  // The end may be a number that tells traces of one millisecond from each other.
  return [...new Set([part, part.replace(/-\d+$/, "")])].map((part) => marksOf(folder, part))
}

/** Marks the traces that lost their marks, or that were copied without them. */
export const markAll = (folder: string, ids: ReadonlyArray<string>): void => {
  for (const id of ids) {
    const folders = marksOfId(folder, id)
    if (folders.some((marks) => Fs.existsSync(Path.join(marks, id)))) continue
    for (const marks of folders) {
      Fs.mkdirSync(marks, { recursive: true, mode: 0o700 })
      Fs.writeFileSync(Path.join(marks, id), "", { mode: 0o600 })
    }
  }
}

/** Removes a trace and what belongs to it. */
export const removeTrace = (file: string): void => {
  const id = Path.basename(file, ".jsonl")
  for (const path of [file, summaryPath(file)]) Fs.rmSync(path, { force: true })
  for (const marks of marksOfId(Path.dirname(file), id)) {
    Fs.rmSync(Path.join(marks, id), { force: true })
    try {
      Fs.rmdirSync(marks)
    } catch {
      // It has marks of other traces, or is not there.
    }
  }
}

export const summaryPath = (file: string): string => file.replace(/\.jsonl$/, ".json")

/** Writes a summary whole or not at all. */
export const writeSummary = (path: string, summary: Summary): void => {
  const temporary = `${path}.${process.pid}.tmp`
  Fs.writeFileSync(temporary, `${JSON.stringify(summary)}\n`, { mode: 0o600 })
  Fs.renameSync(temporary, path)
}

/** The summary beside a trace, `undefined` if there is none, or a spoilt one. */
export const readSummary = (path: string): Summary | undefined => {
  try {
    const summary: Summary = JSON.parse(Fs.readFileSync(path, "utf8"))
    return typeof summary.bytes === "number" && typeof summary.receipt?.asked === "number" ? summary : undefined
  } catch {
    return undefined
  }
}
