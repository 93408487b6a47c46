import type { Drawn } from "../../Sample.ts"
import { Fs } from "../node.ts"
import { isFault } from "./errors.ts"
import type { Content, FileReader } from "./fileReader.ts"
import { LazySample } from "./lazySample.ts"
import { accept, differs, hasDamagedRest, provenanceOf, unknown } from "./metadataLine.ts"
import { type FindLine, isLfsPointer, type MetadataLog } from "./metadataLog.ts"
import { samplePath } from "./samplePath.ts"
import { fitsTimeChecksum } from "./timeChecksum.ts"

/** Reads samples from the folder of their key. */
export class SampleReader {
  readonly #root: string
  readonly #files: FileReader
  readonly #log: MetadataLog

  constructor(root: string, files: FileReader, log: MetadataLog) {
    this.#root = root
    this.#files = files
    this.#log = log
  }

  /**
   * Samples from a position on, at most `count`, up to the first that is missing or cannot be read. If the first sample
   * is damaged it describes the damage, and if the file system fails for the first sample it throws.
   */
  read(folder: string, from: number, count: number): ReadonlyArray<Drawn> | string {
    if (count < 1) return []
    const readAt = this.#reading(folder, parsed)
    const first = readAt(from) ?? explainMissing(samplePath(folder, from), () => readAt(from))
    return typeof first === "object" ? extend([first], from, count, readAt) : first ?? []
  }

  /** As `read`, but it returns no samples if the first is damaged, and parses metadata when they are asked for. */
  peek(folder: string, from: number, count: number): ReadonlyArray<Drawn> {
    if (count !== 1) return extend([], from, count, this.#reading(folder, lazy))
    const file = samplePath(folder, from)
    const content = this.#files.readAgain(file)
    if (content === undefined) return []
    // Most prompts have one sample. Its time has a checksum, so the metadata log is read only if metadata are asked for.
    const sample = fitsTimeChecksum(content.modified, file.slice(this.#root.length), content.crc32)
      ? new LazySample(content.text, () => this.#line(folder, from, content))
      : this.#check(folder, from, content, this.#log.find(folder), lazy)
    return typeof sample === "object" ? [sample] : []
  }

  /** Reads samples by their positions during one operation. */
  #reading(folder: string, make: Make): ReadAt {
    const find = this.#log.find(folder)
    return (position) => {
      const content = this.#files.read(samplePath(folder, position))
      return content && this.#check(folder, position, content, find, make)
    }
  }

  #line(folder: string, position: number, content: Content): string | undefined {
    const line = this.#log.find(folder)(position, content)
    // Whoever asked for the metadata reads the sample again, and gets the description of the damage.
    if (typeof line === "symbol" || (line !== undefined && hasDamagedRest(line))) {
      throw new Error(`${samplePath(folder, position)} has no metadata in the log`)
    }
    return line
  }

  #check(folder: string, position: number, content: Content, find: FindLine, make: Make): Drawn | string {
    const line = find(position, content)
    const file = samplePath(folder, position)
    if (typeof line === "string") {
      return hasDamagedRest(line)
        ? `the line of ${file} in the .jsonl file beside it differs from the one that was stored: "rest" was changed. ` +
          "Restore it, or delete the sample's file to have the position drawn again"
        : make(content.text, line)
    }
    if (isLfsPointer(content.text)) return `${file} is a pointer of Git LFS, not the sample: run \`git lfs pull\``
    if (line === differs) {
      return this.#log.hasOtherLineEndings(folder, position, content)
        ? `${file} differs from the sample that was stored in its line endings alone: an editor or Git changed them. ` +
          "Put `* -text` into .gitattributes and check the file out again, or delete it to have the position drawn again"
        : `${file} differs from its line in the .jsonl file beside it: it may have been cut off or edited. Restore it, ` +
          "delete it to have the position drawn again, or append this line there to take it as it is: " +
          accept(position, content)
    }
    if (!content.isText) return `${file} is not UTF-8. Restore it, or delete it to have the position drawn again`
    return line === unknown ? this.#log.explainUnknown(folder, position, content) : make(content.text, undefined)
  }
}

/** The sample at a position, `undefined` if there is none, or a description of its damage. */
type ReadAt = (position: number) => Drawn | string | undefined

type Make = (text: string, line: string | undefined) => Drawn

const parsed: Make = (text, line) => ({ text, ...provenanceOf(line) })

const lazy: Make = (text, line) => new LazySample(text, line)

const extend = (samples: Array<Drawn>, from: number, count: number, readAt: ReadAt): ReadonlyArray<Drawn> => {
  try {
    while (samples.length < count) {
      const sample = readAt(from + samples.length)
      if (typeof sample !== "object") break
      samples.push(sample)
    }
  } catch (cause) {
    if (!isFault(cause)) throw cause
  }
  return samples
}

const explainMissing = (file: string, again: () => Drawn | string | undefined): Drawn | string | undefined => {
  const stats = Fs.lstatSync(file, { throwIfNoEntry: false })
  if (stats?.isSymbolicLink()) {
    return `${file} is a link that leads nowhere. Restore its target, or delete it to have the position drawn again`
  }
  // Another process may just have stored it.
  return stats && again()
}
