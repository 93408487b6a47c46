import type { Entry } from "../../Sample.ts"
import { crc32, Fs, Path } from "../node.ts"
import type { FileReader } from "./fileReader.ts"
import { ifPresent, makeFolder, writeNew } from "./files.ts"
import type { LoggedRequest, NamedEntry } from "./loggedRequest.ts"
import type { MetadataLog } from "./metadataLog.ts"
import { samplePath } from "./samplePath.ts"
import { writeTimeChecksum } from "./timeChecksum.ts"

/** Writes samples into the folder of their key. */
export class SampleWriter {
  readonly #root: string
  readonly #files: FileReader
  readonly #log: MetadataLog

  constructor(root: string, files: FileReader, log: MetadataLog) {
    this.#root = root
    this.#files = files
    this.#log = log
  }

  /**
   * Writes a sample at its position, or with `"append"` at the first free position from there on. Returns the position,
   * `undefined` for a sample that was dropped. It does not write a sample again if it finds its id on the way.
   */
  write(folder: string, { drawn, id, position }: Entry, ifTaken: "append" | "drop"): number | undefined {
    for (let at = position;; at++) {
      const file = samplePath(folder, at)
      if (Fs.lstatSync(file, { throwIfNoEntry: false }) === undefined) {
        let line: string | undefined
        let isWritten = false
        try {
          isWritten = writeNew(file, drawn.text, (descriptor, { ino, mtimeMs }) => {
            line = this.#log.append(folder, at, drawn, id, ino)
            // With `rest`, the line has a checksum that is always looked at.
            if (drawn.metadata.rest === undefined) {
              writeTimeChecksum(descriptor, mtimeMs, file.slice(this.#root.length), crc32(drawn.text))
            }
          })
        } finally {
          if (!isWritten && line !== undefined) this.#log.retract(folder, at, line)
        }
        if (isWritten) return at
      }
      if (id !== undefined && this.#holds(folder, at, drawn.text, id)) return at
      if (ifTaken === "drop") return undefined
    }
  }

  /** Writes the samples of a request in the write-ahead log, for as long as the log says that the request is ours. */
  writeAll(
    { entries, folder, ifTaken }: LoggedRequest,
    isTakenOver: boolean,
    isOurs: () => boolean
  ): ReadonlyArray<number | undefined> {
    const absolute = Path.join(this.#root, folder)
    if (isTakenOver) makeFolder(absolute)
    return entries.map((entry) => {
      const written = isTakenOver ? this.#findWritten(absolute, entry.drawn.text, entry.id) : undefined
      return written ?? (isOurs() ? this.write(absolute, entry, ifTaken) : undefined)
    })
  }

  /** Writes a stored sample again that a power failure took. Its file is missing, or is no sample that the log knows. */
  restore(folder: string, position: number, { drawn, id }: NamedEntry): void {
    const absolute = Path.join(this.#root, folder)
    const content = this.#files.read(samplePath(absolute, position))
    if (content !== undefined) {
      if (typeof this.#log.find(absolute)(position, content) === "string") return
      ifPresent(() => Fs.unlinkSync(samplePath(absolute, position)))
    }
    makeFolder(absolute)
    this.write(absolute, { drawn, id, position }, "drop")
  }

  #findWritten(folder: string, text: string, id: string): number | undefined {
    return this.#log.announced(folder, id).find((position) => {
      if (this.#holds(folder, position, text, id)) return true
      // Without hard links, a process that was killed leaves a part of its sample.
      const content = this.#files.read(samplePath(folder, position))
      const isPart = content !== undefined && content.bytes < Buffer.byteLength(text) &&
        text.startsWith(content.text.replace(/\uFFFD+$/, "")) &&
        typeof this.#log.find(folder)(position, content) !== "string"
      if (isPart) ifPresent(() => Fs.unlinkSync(samplePath(folder, position)))
      return false
    })
  }

  #holds(folder: string, position: number, text: string, id: string): boolean {
    const content = this.#files.read(samplePath(folder, position))
    return content?.text === text && this.#log.holds(folder, position, content, id)
  }
}
