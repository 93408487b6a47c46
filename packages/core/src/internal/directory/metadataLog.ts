import type { Drawn } from "../../Sample.ts"
import { crc32, Fs, Path } from "../node.ts"
import type { Content, FileReader } from "./fileReader.ts"
import { list, writeNew } from "./files.ts"
import {
  accept,
  choose,
  type differs,
  encode,
  isAnnounced,
  isLineOf,
  plainlyFits,
  positionAt,
  retract,
  unknown
} from "./metadataLine.ts"
import { positionOf, samplePath } from "./samplePath.ts"

/** How many positions one file of the log covers. It is read whole, however long the sequence is. */
const blockSize = 256

/** How many bytes of files are kept in memory, a prompt's file with at least half a kilobyte: row `server` of the benchmark. */
const [mostKept, leastOfFile] = [8 * 1024 * 1024, 512]

interface Block {
  /** Bytes of the file when it was read, -1 if there was none. */
  readonly size: number
  /** Whether the folder has a log. A folder without one is that of the Python original. */
  readonly isLogged: boolean
  /** The lines of each position, not parsed yet. Several if a position was written again, or two processes raced. */
  readonly lines: ReadonlyMap<number, ReadonlyArray<string>>
}

/**
 * Looks up the line of a sample, by its content: `undefined` if there is no log, as in a folder of the Python original;
 * `unknown` if the log has no line of the position, and `differs` if its lines describe another content.
 */
export type FindLine = (position: number, content: Content) => string | typeof differs | typeof unknown | undefined

/** The metadata of a prompt's samples: files beside them, a line of JSON for each sample, only ever appended to. */
export class MetadataLog {
  readonly #reader: FileReader
  readonly #blocks = new Map<string, Block>()
  #kept = 0

  constructor(reader: FileReader) {
    this.#reader = reader
  }

  /** Announces a sample, before its file gets its name. Returns the line, for `retract`. */
  append(folder: string, position: number, drawn: Drawn, id: string | undefined, inode: number): string {
    const line = encode(position, drawn, id, inode)
    this.#begin(folder, position)
    write(folder, position, line)
    return line
  }

  /** Retracts the line of a sample that was not written. */
  retract(folder: string, position: number, line: string): void {
    write(folder, position, retract(line))
  }

  /** A look-up for one operation, which reads a file once, and again if another process wrote a sample meanwhile. */
  find(folder: string): FindLine {
    let first: number | undefined
    let block: Block
    return (position, content) => {
      if (first === firstOfBlock(position)) {
        const found = findIn(block, folder, position, content)
        if (typeof found === "string") return found
      }
      first = firstOfBlock(position)
      block = this.#current(logPath(folder, position), logPath(folder, 0))
      return findIn(block, folder, position, content)
    }
  }

  /** Tells why the log knows nothing of a sample, and what to do. */
  explainUnknown(folder: string, position: number, content: Content): string {
    const [file, log] = [samplePath(folder, position), logPath(folder, position)]
    const text = this.#reader.read(log)?.text
    const why = text === undefined || text === ""
      ? `${log} is ${text === undefined ? "missing" : "empty"}, so ${file} cannot be checked`
      : isLfsPointer(text)
      ? `${log} is a pointer of Git LFS: run \`git lfs pull\``
      : text.includes("\0")
      ? `${log} holds NUL characters, as after a power failure, so ${file} cannot be checked`
      : `${file} has no line in ${log}: the log was cut off, or the file was put there by hand or by the Python original`
    return `${why}. Restore the two, or delete ${file} to have the position drawn again. To take it as it is, append ` +
      `this line to ${log}: ${accept(position, content)}`
  }

  /** Whether the content differs from the sample of a line by its line endings alone. */
  hasOtherLineEndings(folder: string, position: number, { text }: Content): boolean {
    const unix = text.replaceAll("\r\n", "\n")
    const { lines } = this.#read(logPath(folder, position), logPath(folder, 0))
    return [unix, unix.replaceAll("\n", "\r\n")].some((other) =>
      typeof choose(
        lines.get(position) ?? [],
        { bytes: Buffer.byteLength(other), crc32: crc32(other) },
        () => undefined
      ) === "string"
    )
  }

  /** Whether the content at a position is the sample with this id. An announcement alone does not say so. */
  holds(folder: string, position: number, content: Content, id: string): boolean {
    const line = findIn(this.#read(logPath(folder, position), logPath(folder, 0)), folder, position, content)
    return typeof line === "string" && isLineOf(line, id)
  }

  /** The positions for which the sample with this id was announced. */
  announced(folder: string, id: string): ReadonlyArray<number> {
    return list(folder).filter((name) => name.endsWith(".jsonl")).flatMap((name) =>
      [...this.#read(Path.join(folder, name), logPath(folder, 0)).lines].flatMap(([position, lines]) =>
        isAnnounced(lines, id) ? [position] : []
      )
    )
  }

  /** Gives the samples of the Python original their lines, before the first line makes the folder one with a log. */
  #begin(folder: string, position: number): void {
    const first = logPath(folder, 0)
    if (Fs.existsSync(first)) return
    const blocks = new Map<string, string>()
    for (const position of list(folder).flatMap((name) => positionOf(name) ?? []).sort((a, b) => b - a)) {
      const content = this.#reader.read(samplePath(folder, position))
      if (content === undefined || !content.isText || isLfsPointer(content.text)) continue
      const file = logPath(folder, position)
      blocks.set(file, `${blocks.get(file) ?? ""}\n${accept(position, content)}`)
    }
    // The first block comes last: as long as it is missing, a process that was killed here left work to do.
    for (const [file, lines] of blocks) writeNew(file, lines)
    if (position >= blockSize && !blocks.has(first)) writeNew(first, "")
  }

  #current(file: string, first: string): Block {
    const kept = this.#blocks.get(file)
    return kept !== undefined && kept.size === sizeOf(file) && (kept.size >= 0 || file === first)
      ? kept
      : this.#read(file, first)
  }

  #read(file: string, first: string): Block {
    const content = this.#reader.read(file)
    const block = {
      size: content?.bytes ?? -1,
      isLogged: content !== undefined || (file !== first && Fs.existsSync(first)),
      lines: linesOf(content?.text ?? "")
    }
    this.#drop(file)
    this.#blocks.set(file, block)
    this.#kept += bytesOf(block)
    while (this.#kept > mostKept && this.#blocks.size > 1) this.#drop(this.#blocks.keys().next().value!)
    return block
  }

  #drop(file: string): void {
    const block = this.#blocks.get(file)
    if (block === undefined) return
    this.#blocks.delete(file)
    this.#kept -= bytesOf(block)
  }
}

const bytesOf = ({ size }: Block): number => Math.max(leastOfFile, size)

/** Whether a text is a pointer of Git LFS, as in a checkout without LFS. */
export const isLfsPointer = (text: string): boolean =>
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-.+\n)*oid sha256:[0-9a-f]{64}\nsize \d+\n$/.test(text)

const firstOfBlock = (position: number): number => position - position % blockSize

/** The file of the log that has the line of a position. */
export const logPath = (folder: string, position: number): string => {
  const first = firstOfBlock(position)
  return `${folder}${Path.sep}${first}-${first + blockSize - 1}.jsonl`
}

const write = (folder: string, position: number, line: string): void =>
  // The line break comes first, so that a line torn by a kill does not spoil the next one.
  Fs.appendFileSync(logPath(folder, position), `\n${line}`)

const findIn = (
  { isLogged, lines }: Block,
  folder: string,
  position: number,
  content: Content
): ReturnType<FindLine> => {
  const found = lines.get(position)
  if (found === undefined) return isLogged ? unknown : undefined
  return found.length === 1 && plainlyFits(found[0]!, position, content)
    ? found[0]
    : choose(found, content, () => inodeOf(samplePath(folder, position)))
}

const sizeOf = (file: string): number => Fs.statSync(file, { throwIfNoEntry: false })?.size ?? -1

const inodeOf = (file: string): number | undefined => Fs.statSync(file, { throwIfNoEntry: false })?.ino

const linesOf = (text: string): Block["lines"] => {
  const lines = new Map<number, Array<string>>()
  for (let start = 0; start < text.length;) {
    const lineBreak = text.indexOf("\n", start)
    const end = lineBreak < 0 ? text.length : lineBreak
    const position = positionAt(text, start, end)
    if (position !== undefined) {
      const line = text.slice(start, end)
      const same = lines.get(position)
      if (same === undefined) lines.set(position, [line])
      else same.push(line)
    }
    start = end + 1
  }
  return lines
}
