import { isUtf8 } from "node:buffer"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32 } from "node:zlib"

/** Whether the file system said that there is no such file or folder. */
export const isMissing = (cause: unknown): boolean => (cause as NodeJS.ErrnoException).code === "ENOENT"

/** What the file system gives, `undefined` where it says that there is no such file or folder. */
export const ifPresent = <A>(evaluate: () => A): A | undefined => {
  try {
    return evaluate()
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

/** The text of a file, `undefined` when there is none. */
export const readIfPresent = (file: string): string | undefined => ifPresent(() => Fs.readFileSync(file, "utf8"))

/** The text of a file, and what its bytes are known by. */
export interface Content {
  readonly text: string
  readonly bytes: number
  readonly crc32: number
  readonly isUtf8: boolean
}

/** Reads files into a piece of memory of its own, which is faster than `readFileSync` where they are small. */
export class FileReader {
  readonly #memory = Buffer.allocUnsafeSlow(2 ** 17)

  /** The text of a file, `undefined` when there is none. */
  text(file: string): string | undefined {
    return this.#read(file)?.toString()
  }

  /** The content of a file, `undefined` when there is none. */
  content(file: string): Content | undefined {
    const read = this.#read(file)
    if (read === undefined) return undefined
    const text = read.toString()
    return {
      text,
      bytes: read.length,
      crc32: crc32(read),
      // U+FFFD may be a character of the text, or what decoding made of bytes that are no text.
      isUtf8: !text.includes("\uFFFD") || isUtf8(read)
    }
  }

  // The bytes of a file until the next one is read.
  #read(file: string): Buffer | undefined {
    let descriptor: number
    try {
      descriptor = Fs.openSync(file, "r")
    } catch (cause) {
      if (isMissing(cause)) return undefined
      throw cause
    }
    try {
      const length = Fs.readSync(descriptor, this.#memory, 0, this.#memory.length, null)
      return length < this.#memory.length ? this.#memory.subarray(0, length) : Fs.readFileSync(file)
    } finally {
      Fs.closeSync(descriptor)
    }
  }
}

/** The names in a folder, none when there is no folder. */
export const list = (folder: string): ReadonlyArray<string> => ifPresent(() => Fs.readdirSync(folder)) ?? []

/** A folder to be read name by name, `undefined` when there is none. */
export const openIfPresent = (folder: string): Fs.Dir | undefined => ifPresent(() => Fs.opendirSync(folder))

/**
 * Writes a file whole or not at all, and never over another: `false` when there is one already. Before it gets its name,
 * `announce` is told its inode, which no other file has.
 */
export const writeNew = (
  folder: string,
  name: string,
  content: string,
  announce?: (inode: number) => void
): boolean => {
  const temporary = Path.join(folder, `.${crypto.randomUUID()}.tmp`)
  try {
    Fs.writeFileSync(temporary, content, { flag: "wx" })
    announce?.(Fs.statSync(temporary).ino)
    Fs.linkSync(temporary, Path.join(folder, name))
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false
    throw cause
  } finally {
    ifPresent(() => Fs.unlinkSync(temporary))
  }
}
