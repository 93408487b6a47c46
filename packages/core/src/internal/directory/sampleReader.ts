import * as Fs from "node:fs"
import type { Drawn } from "../../Sample.ts"
import { isFault } from "./errors.ts"
import type { Content, FileReader } from "./fileReader.ts"
import { lazySample } from "./lazySample.ts"
import { type Provenance, provenanceOf } from "./metadataLine.ts"
import type { FindMetadata, MetadataLog } from "./metadataLog.ts"
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
    const find = this.#log.find(folder)
    const first = this.#readFirst(folder, from, find)
    if (typeof first !== "object") return first ?? []
    return this.#extend([first], folder, from, count, find)
  }

  /** As `read`, but it returns no samples if the first is damaged. */
  peek(folder: string, from: number, count: number): ReadonlyArray<Drawn> {
    return count === 1
      ? this.#readAlone(folder, from)
      : this.#extend([], folder, from, count, this.#log.find(folder))
  }

  #readFirst(folder: string, position: number, find: FindMetadata): Drawn | string | undefined {
    const file = samplePath(folder, position)
    let content = this.#files.read(file)
    if (content === undefined) {
      const stats = Fs.lstatSync(file, { throwIfNoEntry: false })
      if (stats?.isSymbolicLink()) {
        return `${file} is a link that leads nowhere. Restore its target, or delete it to have the position drawn again`
      }
      // Another process may just have stored it.
      content = stats && this.#files.read(file)
    }
    return content && check(file, position, content, find)
  }

  #extend(
    samples: Array<Drawn>,
    folder: string,
    from: number,
    count: number,
    find: FindMetadata
  ): ReadonlyArray<Drawn> {
    try {
      while (samples.length < count) {
        const position = from + samples.length
        const file = samplePath(folder, position)
        const content = this.#files.read(file)
        const sample = content && check(file, position, content, find)
        if (typeof sample !== "object") break
        samples.push(sample)
      }
    } catch (cause) {
      if (!isFault(cause)) throw cause
    }
    return samples
  }

  // Most prompts have one sample. Its time has a checksum, so the metadata log is read only if metadata are asked for.
  #readAlone(folder: string, position: number): ReadonlyArray<Drawn> {
    const file = samplePath(folder, position)
    const content = this.#files.read(file, true)
    if (content === undefined) return []
    if (fitsTimeChecksum(content.modified, file.slice(this.#root.length), content.crc32)) {
      return [lazySample(content.text, () => this.#provenance(folder, position, content))]
    }
    const sample = check(file, position, content, this.#log.find(folder))
    return typeof sample === "object" ? [sample] : []
  }

  #provenance(folder: string, position: number, content: Content): Provenance {
    const find = this.#log.find(folder)(position, content)
    return typeof find === "function" ? find() : provenanceOf(undefined)
  }
}

/** The sample with this content, or a description of its damage. */
const check = (file: string, position: number, content: Content, find: FindMetadata): Drawn | string => {
  const found = find(position, content)
  if (found === "differs") {
    return `${file} differs from its line in the .jsonl file beside it: it may have been cut off or edited. Restore it, ` +
      "delete it to have the position drawn again, or delete its lines there to take it as it is"
  }
  if (found === undefined && !content.isText) {
    return `${file} is not UTF-8. Restore it, or delete it to have the position drawn again`
  }
  return lazySample(content.text, found ?? (() => provenanceOf(undefined)))
}
