import { Fs } from "../node.ts"

/** A whole line of a file, and its place in bytes. */
export interface Line {
  readonly offset: number
  readonly text: string
}

/** Reads a file that grows, some lines at a time, and lines again by their places. It keeps no descriptor open. */
export class LineReader {
  readonly #path: string
  #read = 0
  #size = 0
  #bytes: Buffer | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** How many bytes were read, and how many the file had then. */
  get read(): number {
    return this.#read
  }

  get size(): number {
    return this.#size
  }

  /** The next lines in about so many bytes; none at the end. A line without an end is still being written, or was torn. */
  next(step: number): ReadonlyArray<Line> {
    return this.#withFile((descriptor) => {
      this.#size = Fs.fstatSync(descriptor).size
      for (let most = step;; most *= 2) {
        const wanted = Math.min(most, Math.max(0, this.#size - this.#read))
        // One buffer for all parts: others would wait for the garbage collection of a process with little other garbage.
        if (this.#bytes === undefined || this.#bytes.length < wanted) this.#bytes = Buffer.allocUnsafe(wanted)
        const bytes = this.#bytes
        const length = wanted === 0 ? 0 : Fs.readSync(descriptor, bytes, 0, wanted, this.#read)
        const lines: Array<Line> = []
        let start = 0
        for (let end = bytes.indexOf(0x0a); end >= 0 && end < length; end = bytes.indexOf(0x0a, start)) {
          lines.push({ offset: this.#read + start, text: bytes.toString("utf8", start, end) })
          start = end + 1
        }
        if (start > 0 || length < most) {
          this.#read += start
          // A long line needs a longer one, once.
          if (bytes.length > step || this.#read === this.#size) this.#bytes = undefined
          return lines
        }
      }
    })
  }

  lineAt(offset: number): string {
    return this.#withFile((descriptor) => {
      for (let most = 512;; most *= 8) {
        const bytes = Buffer.allocUnsafe(most)
        const length = Fs.readSync(descriptor, bytes, 0, most, offset)
        const end = bytes.subarray(0, length).indexOf(0x0a)
        if (end >= 0) return bytes.toString("utf8", 0, end)
        if (length < most) return ""
      }
    })
  }

  #withFile<A>(use: (descriptor: number) => A): A {
    const descriptor = Fs.openSync(this.#path, "r")
    try {
      return use(descriptor)
    } finally {
      Fs.closeSync(descriptor)
    }
  }
}
