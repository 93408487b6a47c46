import type { Stats } from "node:fs"
import { crc32, Fs, isUtf8 } from "../node.ts"
import { isMissing } from "./files.ts"

/** The content of a file. */
export interface Content {
  readonly text: string
  readonly bytes: number
  readonly crc32: number
  /** Whether the bytes are valid UTF-8. A file that was written whole is. */
  readonly isText: boolean
  /** The modification time in milliseconds since the epoch, 0 if it was not asked for. */
  readonly modified: number
}

/** What changes if a file is written, replaced, or given another time. */
type Version = Pick<Stats, "ctimeMs" | "ino" | "mtimeMs" | "size">

/** How many bytes of files are kept in memory. */
const mostKept = 8 * 1024 * 1024

/** How many bytes a kept file takes beside its content, most of them for its path. */
const ofFile = 512

/** How many milliseconds old a version is that is kept: a file may change twice in one tick of its clock. */
const settled = 100

/** Reads small files into one buffer, which is faster than `readFileSync` (benchmark row `directory-prompts`). */
export class FileReader {
  readonly #buffer = Buffer.allocUnsafeSlow(2 ** 17)
  readonly #kept = new Map<string, { readonly version: Version; readonly content: Content }>()
  #keptBytes = 0
  /** How many files found no room. */
  #notKept = 0

  /** As `read`. Of a file that did not change since it was read here, it asks the version alone (benchmark row `server`). */
  readAgain(file: string): Content | undefined {
    const kept = this.#kept.get(file)
    if (kept !== undefined) {
      const now = Fs.statSync(file, { throwIfNoEntry: false })
      if (now !== undefined && isSame(kept.version, now)) return kept.content
      this.#kept.delete(file)
      this.#keptBytes -= kept.content.bytes + ofFile
    }
    let version: Version | undefined
    const content = this.read(file, (descriptor) => {
      version = Fs.fstatSync(descriptor)
      return version.mtimeMs
    })
    // A file that changes while it is read has another version the next time.
    if (content !== undefined && version !== undefined && !isNew(version)) this.#keep(file, version, content)
    return content
  }

  // Files that are read in turn, more than there is room for, must not push each other out.
  #keep(file: string, { ctimeMs, ino, mtimeMs, size }: Version, content: Content): void {
    const bytes = content.bytes + ofFile
    if (this.#keptBytes + bytes > mostKept) {
      if (++this.#notKept < 4 * this.#kept.size || bytes > mostKept) return
      this.#kept.clear()
      this.#keptBytes = this.#notKept = 0
    }
    this.#keptBytes += bytes
    this.#kept.set(file, { version: { ctimeMs, ino, mtimeMs, size }, content })
  }

  /** The content of a file, `undefined` if there is none. */
  read(file: string, modifiedAt: (descriptor: number) => number = () => 0): Content | undefined {
    let descriptor: number
    try {
      descriptor = Fs.openSync(file, "r")
    } catch (cause) {
      if (isMissing(cause)) return undefined
      throw cause
    }
    let modified: number
    let length: number
    try {
      modified = modifiedAt(descriptor)
      // A short read is the whole content: this is a file and not a pipe.
      length = Fs.readSync(descriptor, this.#buffer, 0, this.#buffer.length, null)
    } finally {
      Fs.closeSync(descriptor)
    }
    const bytes = length < this.#buffer.length ? this.#buffer.subarray(0, length) : Fs.readFileSync(file)
    const text = bytes.toString()
    return {
      text,
      bytes: bytes.length,
      crc32: crc32(bytes),
      // U+FFFD may be a character of the text, or stand for bytes that are not UTF-8.
      isText: !text.includes("\uFFFD") || isUtf8(bytes),
      modified
    }
  }
}

const isSame = (one: Version, other: Version): boolean =>
  one.mtimeMs === other.mtimeMs && one.ctimeMs === other.ctimeMs && one.size === other.size && one.ino === other.ino

// Real time, also in a program with another clock.
// @effect-diagnostics-next-line globalDate:off
const isNew = ({ ctimeMs }: Version): boolean => Date.now() - ctimeMs < settled
