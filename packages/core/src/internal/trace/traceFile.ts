import { Fs, Path } from "../node.ts"

/** How many characters wait in memory at most, and how many milliseconds. */
const bufferSize = 64 * 1024
const delay = 200

/** How many bytes wait at most for a disk that is full. */
const mostUnwritten = 1024 * 1024

const none = new Uint8Array()

/** Files with lines that wait. The process ends with one listener, however many traces it writes. */
const waiting = new Set<TraceFile>()
const writeAll = (): void => waiting.forEach((file) => file.close())

/**
 * A file of lines that are written some at a time, in the background and when the process ends. It has no descriptor between
 * writes: a server has thousands of runs.
 */
export class TraceFile {
  readonly path: string
  readonly #onFlush: (bytes: number) => void
  #lines = ""
  /** The bytes that a failed write left. */
  #unwritten: Uint8Array = none
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #failure: Error | undefined

  /** Makes a new file that no other run has. `onFlush` runs when the file has so many bytes. */
  constructor(folder: string, name: string, onFlush: (bytes: number) => void) {
    this.path = makeNew(folder, name)
    this.#onFlush = onFlush
  }

  /** The size of the file with the lines that wait. */
  get size(): number {
    return this.#bytes + this.#unwritten.length + this.#lines.length
  }

  /** The size of the file. */
  get written(): number {
    return this.#bytes
  }

  /** Appends a line. If the disk takes no more for long, it throws once, and then drops all lines. */
  append(line: string): void {
    if (this.#isClosed) return
    this.#lines += `${line}\n`
    if (this.#lines.length > bufferSize) this.flush()
    if (this.#unwritten.length > mostUnwritten) {
      this.#end()
      throw this.#error()
    }
    if (this.#lines === "" || this.#timer !== undefined) return
    // Real time, also in a program with another clock. A program does not wait for it to end.
    // @effect-diagnostics-next-line globalTimers:off
    this.#timer = setTimeout(() => this.flush(), delay).unref()
    if (waiting.size === 0) process.once("exit", writeAll)
    waiting.add(this)
  }

  /** Writes the lines that wait. Lines that cannot be written wait for the next time. */
  flush(): void {
    this.#rest()
    if (this.#isClosed || (this.#lines === "" && this.#unwritten.length === 0)) return
    let bytes = Buffer.concat([this.#unwritten, Buffer.from(this.#lines)])
    this.#lines = ""
    try {
      const descriptor = Fs.openSync(this.path, Fs.constants.O_WRONLY | Fs.constants.O_APPEND)
      try {
        while (bytes.length > 0) {
          const written = Fs.writeSync(descriptor, bytes)
          this.#bytes += written
          bytes = bytes.subarray(written)
        }
      } finally {
        Fs.closeSync(descriptor)
      }
      this.#failure = undefined
      this.#onFlush(this.#bytes)
    } catch (cause) {
      this.#failure = cause as Error
    }
    // An empty piece would keep the memory of the whole.
    this.#unwritten = bytes.length === 0 ? none : bytes
  }

  /** Writes the lines that wait, or throws. */
  flushOrThrow(): void {
    this.flush()
    if (this.#failure !== undefined) throw this.#failure
  }

  close(): void {
    this.flush()
    this.#end()
  }

  #end(): void {
    this.#isClosed = true
    this.#unwritten = none
    this.#rest()
  }

  #rest(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (waiting.delete(this) && waiting.size === 0) process.off("exit", writeAll)
  }

  #error(): Error {
    return new Error(`The trace ${this.path} cannot be written, and ends here`, { cause: this.#failure })
  }
}

const makeNew = (folder: string, name: string): string => {
  Fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (let i = 1;; i++) {
    const path = Path.join(folder, `${name}${i === 1 ? "" : `-${i}`}.jsonl`)
    try {
      Fs.closeSync(Fs.openSync(path, "ax", 0o600))
      return path
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
    }
  }
}
