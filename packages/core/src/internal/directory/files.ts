import type { Dir, Stats } from "node:fs"
import { Fs, Path } from "../node.ts"
import { isRunning } from "./logOwner.ts"

/** Whether the file system said that there is no such file or folder. */
export const isMissing = (cause: unknown): boolean => (cause as NodeJS.ErrnoException).code === "ENOENT"

/** The result of a call to the file system, `undefined` if there is no such file or folder. */
export const ifPresent = <A>(evaluate: () => A): A | undefined => {
  try {
    return evaluate()
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

/** The text of a file, `undefined` if there is none. */
export const readIfPresent = (file: string): string | undefined => ifPresent(() => Fs.readFileSync(file, "utf8"))

/** The names in a folder, none if there is no folder. */
export const list = (folder: string): ReadonlyArray<string> => ifPresent(() => Fs.readdirSync(folder)) ?? []

/** A folder to be read name by name, `undefined` if there is none. */
export const openIfPresent = (folder: string): Dir | undefined => ifPresent(() => Fs.opendirSync(folder))

/** Creates a folder and those above it. Node's own way says `ENOENT` where the file system is read-only. */
export const makeFolder = (folder: string, mode?: number): void => {
  try {
    return makeOneFolder(folder, mode)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
  }
  const parent = Path.dirname(folder)
  if (!Fs.existsSync(parent)) makeFolder(parent, mode)
  // Another process may have created the parent before this one looked.
  makeOneFolder(folder, mode)
}

const makeOneFolder = (folder: string, mode: number | undefined): void => {
  try {
    Fs.mkdirSync(folder, { mode })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST" || !Fs.statSync(folder).isDirectory()) throw cause
  }
}

/**
 * Writes a file whole or not at all, and never over another: returns `false` if there is one already. Calls `announce`
 * before the file gets its name. Its inode is unique. On a file system without hard links, a process that is killed here
 * may leave a part of the file: its line in the metadata log tells it from a sample.
 */
export const writeNew = (
  file: string,
  content: string,
  announce?: (descriptor: number, stats: Stats) => void
): boolean => {
  const temporary = temporaryBeside(file)
  try {
    let stats: Stats
    const descriptor = Fs.openSync(temporary, "wx")
    try {
      Fs.writeFileSync(descriptor, content)
      announce?.(descriptor, Fs.fstatSync(descriptor))
      stats = Fs.fstatSync(descriptor)
    } finally {
      Fs.closeSync(descriptor)
    }
    try {
      Fs.linkSync(temporary, file)
    } catch (cause) {
      if (!hasNoLinks(cause)) throw cause
      createNew(file, content, stats)
    }
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false
    throw cause
  } finally {
    ifPresent(() => Fs.unlinkSync(temporary))
  }
}

/** Whether hard links can be made in a folder. Throws if no file can be written there. */
export const hasLinks = (folder: string): boolean => {
  const file = temporaryBeside(Path.join(folder, "file"))
  const link = temporaryBeside(file)
  try {
    Fs.writeFileSync(file, "hard links?", { flag: "wx" })
    Fs.linkSync(file, link)
    return true
  } catch (cause) {
    if (hasNoLinks(cause)) return false
    throw cause
  } finally {
    for (const path of [file, link]) ifPresent(() => Fs.unlinkSync(path))
  }
}

/** Writes a file whole or not at all, also over another. */
export const replace = (file: string, content: string): void => {
  const temporary = temporaryBeside(file)
  try {
    Fs.writeFileSync(temporary, content, { flag: "wx" })
    Fs.renameSync(temporary, file)
  } catch (cause) {
    ifPresent(() => Fs.unlinkSync(temporary))
    throw cause
  }
}

/** Whether a file of this name is one that is being written, or that a killed process left. */
export const isTemporary = (name: string): boolean => /^\.(?:\d+_)?[0-9a-f-]{36}\.tmp$/.test(name)

/** Removes the files that killed processes left in a folder. */
export const removeTemporary = (folder: string): void => {
  for (const name of list(folder).filter(isTemporary)) {
    if (isLeft(Path.join(folder, name))) ifPresent(() => Fs.unlinkSync(Path.join(folder, name)))
  }
}

/** Whether the process that wrote a file of a temporary name has ended, or no longer works at it. */
export const isLeft = (file: string): boolean => {
  const stats = Fs.statSync(file, { throwIfNoEntry: false })
  if (stats === undefined) return false
  const [pid] = /^\d+(?=_)/.exec(Path.basename(file).slice(1)) ?? []
  if (pid !== undefined && !isRunning(Number(pid), "")) return true
  // The times of files are real, also in a program with another clock.
  // @effect-diagnostics-next-line globalDate:off
  return Date.now() - stats.mtimeMs > patience
}

/** A write takes milliseconds. A file that is older, in milliseconds, was left. */
const patience = 60_000

const temporaryBeside = (file: string): string =>
  Path.join(Path.dirname(file), `.${process.pid}_${crypto.randomUUID()}.tmp`)

const hasNoLinks = (cause: unknown): boolean =>
  ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes((cause as NodeJS.ErrnoException).code ?? "")

const createNew = (file: string, content: string, { atimeMs, mtimeMs }: Stats): void => {
  const descriptor = Fs.openSync(file, "wx")
  try {
    Fs.writeFileSync(descriptor, content)
    Fs.futimesSync(descriptor, atimeMs / 1000, mtimeMs / 1000)
  } catch (cause) {
    ifPresent(() => Fs.unlinkSync(file))
    throw cause
  } finally {
    Fs.closeSync(descriptor)
  }
}
