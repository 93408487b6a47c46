import { Fs, Path } from "../node.ts"

/** How many characters wait in memory at most, and how many milliseconds. */
const bufferSize = 64 * 1024
const delay = 200

/** A file of lines that are written some at a time, in the background and when the process ends. */
export class TraceFile {
  readonly path: string
  readonly #descriptor: number
  readonly #onFlush: (bytes: number) => void
  #lines = ""
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #failure: unknown
  readonly #onExit = (): void => this.close()

  /** Opens a new file that no other run has. `onFlush` runs when the file has so many bytes. */
  constructor(folder: string, name: string, onFlush: (bytes: number) => void) {
    const [path, descriptor] = openNew(folder, name)
    this.path = path
    this.#descriptor = descriptor
    this.#onFlush = onFlush
    process.once("exit", this.#onExit)
  }

  /** The size of the file with the lines that wait. */
  get size(): number {
    return this.#bytes + this.#lines.length
  }

  /** Appends a line. After a failed write it throws once, and then drops all lines. */
  append(line: string): void {
    if (this.#isClosed) return
    if (this.#failure !== undefined) {
      const cause = this.#failure
      this.#end()
      throw new Error(`The trace ${this.path} cannot be written, and ends here`, { cause })
    }
    this.#lines += `${line}\n`
    if (this.#lines.length > bufferSize) this.flush()
    // Real time, also in a program with another clock. A program does not wait for it to end.
    // @effect-diagnostics-next-line globalTimers:off
    else this.#timer ??= setTimeout(() => this.flush(), delay).unref()
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#isClosed || this.#failure !== undefined || this.#lines === "") return
    const bytes = Buffer.from(this.#lines)
    this.#lines = ""
    try {
      for (let done = 0; done < bytes.length;) done += Fs.writeSync(this.#descriptor, bytes, done)
      this.#bytes += bytes.length
      this.#onFlush(this.#bytes)
    } catch (cause) {
      this.#failure = cause
    }
  }

  close(): void {
    this.flush()
    this.#end()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    process.off("exit", this.#onExit)
    try {
      Fs.closeSync(this.#descriptor)
    } catch {
      // The lines are written.
    }
  }
}

const openNew = (folder: string, name: string): readonly [path: string, descriptor: number] => {
  Fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (let i = 1;; i++) {
    const path = Path.join(folder, `${name}${i === 1 ? "" : `-${i}`}.jsonl`)
    try {
      return [path, Fs.openSync(path, "ax", 0o600)]
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
    }
  }
}
