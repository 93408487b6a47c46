import * as Fs from "node:fs"
import * as Path from "node:path"

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
export const openIfPresent = (folder: string): Fs.Dir | undefined => ifPresent(() => Fs.opendirSync(folder))

/**
 * Writes a file whole or not at all, and never over another: returns `false` if there is one already. Calls `announce`
 * before the file gets its name. Its inode is unique.
 */
export const writeNew = (
  file: string,
  content: string,
  announce?: (descriptor: number, stats: Fs.Stats) => void
): boolean => {
  const temporary = Path.join(Path.dirname(file), `.${crypto.randomUUID()}.tmp`)
  try {
    const descriptor = Fs.openSync(temporary, "wx")
    try {
      Fs.writeFileSync(descriptor, content)
      announce?.(descriptor, Fs.fstatSync(descriptor))
    } finally {
      Fs.closeSync(descriptor)
    }
    Fs.linkSync(temporary, file)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false
    throw cause
  } finally {
    ifPresent(() => Fs.unlinkSync(temporary))
  }
}

/** Writes a file whole or not at all, also over another. */
export const replace = (file: string, content: string): void => {
  const temporary = Path.join(Path.dirname(file), `.${crypto.randomUUID()}.tmp`)
  try {
    Fs.writeFileSync(temporary, content, { flag: "wx" })
    Fs.renameSync(temporary, file)
  } catch (cause) {
    ifPresent(() => Fs.unlinkSync(temporary))
    throw cause
  }
}
