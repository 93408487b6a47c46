import { Fs } from "../node.ts"
import { forceDescriptor, forcePath } from "./force.ts"

/** A file of the write-ahead log of this process: lines of JSON, only ever appended to. */
export class LogFile {
  readonly path: string
  bytes = 0
  readonly #descriptor: number
  readonly #folders: ReadonlyArray<string>
  #beginning: string
  #hasName = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** Creates the file, with a first line. `folders` lead to it: the first forced write is also theirs. */
  constructor(path: string, first: object, folders: ReadonlyArray<string>) {
    this.path = path
    this.#beginning = JSON.stringify(first)
    this.#folders = folders
    this.#descriptor = Fs.openSync(path, "ax")
  }

  append(line: object): void {
    // The line break comes first, so that a line torn by a full disk does not spoil the next one.
    const text = `${this.#beginning}\n${JSON.stringify(line)}`
    Fs.appendFileSync(this.#descriptor, text)
    this.#beginning = ""
    this.bytes += text.length
  }

  /**
   * Forces the lines so far to the disk: calls during a forced write share the next one (group commit, DeWitt et al. 1984).
   * After a failure it fails for good, because the kernel may have dropped the data (Rebello et al. 2020).
   */
  force(): Promise<void> {
    return this.#next ??= this.#forceNext()
  }

  /** Closes the file behind its last forced write. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#next, this.#running])
    Fs.closeSync(this.#descriptor)
  }

  async #forceNext(): Promise<void> {
    await this.#running
    this.#next = undefined
    return this.#running = this.#forceNow()
  }

  async #forceNow(): Promise<void> {
    await forceDescriptor(this.#descriptor)
    if (this.#hasName) return
    // The name of a file is in its folder, which needs a forced write of its own (fsync(2)).
    for (const folder of this.#folders) await forcePath(folder)
    this.#hasName = true
  }
}
