import { isUtf8 } from "node:buffer"
import * as Fs from "node:fs"
import { crc32 } from "node:zlib"
import { isMissing } from "./files.ts"

/** What is in a file. */
export interface Content {
  readonly text: string
  readonly bytes: number
  readonly crc32: number
  /** Whether the bytes are text, as they are in a file that was written whole. */
  readonly isText: boolean
  /** When it was modified, in milliseconds since the epoch, where that was asked for. */
  readonly modified: number
}

/** Reads files into a piece of memory of its own, which is faster than `readFileSync` where they are small. */
export class FileReader {
  readonly #memory = Buffer.allocUnsafeSlow(2 ** 17)

  /** What is in a file, `undefined` when there is none. */
  read(file: string, asksTime = false): Content | undefined {
    let descriptor: number
    try {
      descriptor = Fs.openSync(file, "r")
    } catch (cause) {
      if (isMissing(cause)) return undefined
      throw cause
    }
    let modified = 0
    let length: number
    try {
      if (asksTime) modified = Fs.fstatSync(descriptor).mtimeMs
      // Less than was asked for is all there is: it is a file, and no pipe.
      length = Fs.readSync(descriptor, this.#memory, 0, this.#memory.length, null)
    } finally {
      Fs.closeSync(descriptor)
    }
    const bytes = length < this.#memory.length ? this.#memory.subarray(0, length) : Fs.readFileSync(file)
    const text = bytes.toString()
    return {
      text,
      bytes: bytes.length,
      crc32: crc32(bytes),
      // U+FFFD may be a character of the text, or what decoding made of bytes that are no text.
      isText: !text.includes("\uFFFD") || isUtf8(bytes),
      modified
    }
  }
}
