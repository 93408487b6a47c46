import type { Receipt } from "../../Trace.ts"
import { runsFolder } from "../directory/samplePath.ts"
import { fromHome, stateFolder } from "../homeFolder.ts"
import { Fs, Path } from "../node.ts"

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

/** The part of a file's name that tells the name of its run. Long names may share it. */
const namePart = (name: string): string =>
  encodeURIComponent(name.toWellFormed()).replace(/[*%.~'()!]/g, "_").slice(0, 100)

/** Whether a file, without its ending, may be that of a run with a name. */
export const mayBeOf = (name: string): (file: string) => boolean => {
  const end = `-${namePart(name)}`
  return (file) => file.endsWith(end) || file.replace(/-\d+$/, "").endsWith(end)
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
