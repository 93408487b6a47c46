import { isFault } from "../directory/errors.ts"
import { ifPresent, list, makeFolder } from "../directory/files.ts"
import { fromHome, stateFolder } from "../homeFolder.ts"
import { Fs, Os, Path } from "../node.ts"
import { sha256 } from "../sha256.ts"
import { decode, encode, type Pending, type Rescued } from "./rescueLines.ts"

/** A rescue file. `content` is a description if it cannot be read. */
export interface Found {
  readonly file: string
  readonly content: Rescued | string
}

/** The folders of rescue files, in the order in which they are tried. */
export interface RescueFolders {
  readonly paths: ReadonlyArray<string>
  /** Whether the program named its folder. */
  readonly isNamed: boolean
}

/** By default the state folder of the user, and the folder of temporary files, which may be on another disk. */
export const rescueFolders = (directory: string | undefined): RescueFolders => {
  // A browser has no files.
  if (Fs === undefined) return { paths: [], isNamed: false }
  if (directory !== undefined) return { paths: [Path.resolve(fromHome(directory) ?? directory)], isNamed: true }
  const state = stateFolder()
  return { paths: state === undefined ? [sharedFolder()] : [state, sharedFolder()], isNamed: false }
}

/** Reads the rescue files of a store. Calls `onFault` with a named folder that cannot be read. */
export const findRescued = (
  store: string,
  { isNamed, paths }: RescueFolders,
  onFault: (folder: string, cause: unknown) => void
): ReadonlyArray<Found> =>
  paths.flatMap((folder) => {
    try {
      // Every cache looks here, and in most programs there is no folder: that costs no exception.
      if (Fs.statSync(folder, { throwIfNoEntry: false }) === undefined || !isTrusted(folder)) return []
      return list(folder)
        .filter((name) => name.startsWith(prefixOf(store)) && name.endsWith(extension))
        .flatMap((name) => {
          const file = Path.join(folder, name)
          const content = readOrDescribe(file)
          // Another process may just have stored its samples.
          return content === undefined ? [] : [{ file, content }]
        })
    } catch (cause) {
      if (!isFault(cause)) throw cause
      // A user without rights to a default folder has no files there.
      if (isNamed) onFault(folder, cause)
      return []
    }
  })

const readOrDescribe = (file: string): Rescued | string | undefined => {
  try {
    return readRescued(file)
  } catch (cause) {
    if (!isFault(cause)) throw cause
    return `The rescue file ${file} cannot be read: ${String(cause)}`
  }
}

/** The content of a rescue file, a description if it is none, `undefined` if there is no file. */
export const readRescued = (file: string): Rescued | string | undefined => {
  const text = ifPresent(() => Fs.readFileSync(file, "utf8"))
  const content = text === undefined ? undefined : decode(text)
  return text === undefined || typeof content === "object"
    ? content as Rescued | undefined
    : content === undefined
    ? `${file} is no rescue file, or its first line was cut off`
    : `${file} has version ${content} of the format: update the library`
}

/** Writes a rescue file in the first folder that takes it, and returns its name. Throws the first fault. */
export const writeRescued = (
  store: string,
  pending: ReadonlyArray<Pending>,
  { paths }: RescueFolders
): string => {
  if (paths.length === 0) throw new Error("a browser has no file system")
  const content = encode(store, pending)
  let failure: unknown
  for (const folder of paths) {
    try {
      return writeIn(folder, `${prefixOf(store)}${crypto.randomUUID()}${extension}`, content)
    } catch (cause) {
      if (!isFault(cause)) throw cause
      failure ??= cause
    }
  }
  throw failure
}

/** Removes a rescue file after its samples are stored. A damaged file is kept under another name. */
export const removeRescued = ({ content, file }: Found): void => {
  try {
    ifPresent(() =>
      typeof content === "string" || content.damage.length > 0
        ? Fs.renameSync(file, `${file}.damaged`)
        : Fs.unlinkSync(file)
    )
  } catch (cause) {
    // Its samples are found in the store next time.
    if (!isFault(cause)) throw cause
  }
}

const extension = ".jsonl"

const prefixOf = (store: string): string => `rescue-${sha256(store).slice(0, 32)}-`

const sharedFolder = (): string => Path.join(Os.tmpdir(), `llm-cache-${process.getuid?.() ?? "rescue"}`)

// Everyone can create the folder of temporary files: samples of others must not come into a cache.
const isTrusted = (folder: string): boolean => {
  if (folder !== sharedFolder()) return true
  const stats = Fs.lstatSync(folder, { throwIfNoEntry: false })
  return stats !== undefined && stats.isDirectory() && (process.getuid === undefined ||
    (stats.uid === process.getuid() && (stats.mode & 0o022) === 0))
}

// Whole or not at all, and forced to the disk. Needs one descriptor at a time.
const writeIn = (folder: string, name: string, content: string): string => {
  makeFolder(folder, 0o700)
  if (!isTrusted(folder)) {
    throw Object.assign(new Error(`${folder} belongs to another user, or others can write to it`), { code: "EACCES" })
  }
  const file = Path.join(folder, name)
  const temporary = `${file}.tmp`
  try {
    force(temporary, "wx", (descriptor) => Fs.writeFileSync(descriptor, content))
    Fs.renameSync(temporary, file)
  } catch (cause) {
    ifPresent(() => Fs.unlinkSync(temporary))
    throw cause
  }
  try {
    force(folder, "r", () => {})
  } catch (cause) {
    // Some file systems force no folders. The file is there.
    if (!isFault(cause)) throw cause
  }
  return file
}

const force = (path: string, flags: string, write: (descriptor: number) => void): void => {
  const descriptor = Fs.openSync(path, flags, 0o600)
  try {
    write(descriptor)
    Fs.fsyncSync(descriptor)
  } finally {
    Fs.closeSync(descriptor)
  }
}
