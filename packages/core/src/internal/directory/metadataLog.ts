import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Drawn } from "../../Sample.ts"
import type { Content, FileReader } from "./fileReader.ts"
import { list } from "./files.ts"
import { choose, differs, encode, isAnnounced, isLineOf, plainlyFits, positionAt, retract } from "./metadataLine.ts"
import { samplePath } from "./samplePath.ts"

/** How many positions one file of the log covers. It is read whole, however long the sequence is. */
const blockSize = 256

/** How many files are kept in memory. */
const mostKept = 32

interface Block {
  /** Bytes of the file when it was read. */
  readonly size: number
  /** The lines of each position, not parsed yet. Several if a position was written again, or two processes raced. */
  readonly lines: ReadonlyMap<number, ReadonlyArray<string>>
}

/** Looks up the line of a sample, by its content: `undefined` if there is none, `differs` if the sample is damaged. */
export type FindLine = (position: number, content: Content) => string | typeof differs | undefined

/** The metadata of a prompt's samples: files beside them, a line of JSON for each sample, only ever appended to. */
export class MetadataLog {
  readonly #reader: FileReader
  readonly #blocks = new Map<string, Block>()

  constructor(reader: FileReader) {
    this.#reader = reader
  }

  /** Announces a sample, before its file gets its name. Returns the line, for `retract`. */
  append(folder: string, position: number, drawn: Drawn, id: string | undefined, inode: number): string {
    const line = encode(position, drawn, id, inode)
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
      block = this.#current(logPath(folder, position))
      return findIn(block, folder, position, content)
    }
  }

  /** Whether the content at a position is the sample with this id. An announcement alone does not say so. */
  holds(folder: string, position: number, content: Content, id: string): boolean {
    const line = findIn(this.#read(logPath(folder, position)), folder, position, content)
    return typeof line === "string" && isLineOf(line, id)
  }

  /** The positions for which the sample with this id was announced. */
  announced(folder: string, id: string): ReadonlyArray<number> {
    return list(folder).filter((name) => name.endsWith(".jsonl")).flatMap((name) =>
      [...this.#read(Path.join(folder, name)).lines].flatMap(([position, lines]) =>
        isAnnounced(lines, id) ? [position] : []
      )
    )
  }

  #current(file: string): Block {
    const kept = this.#blocks.get(file)
    return kept !== undefined && kept.size === sizeOf(file) ? kept : this.#read(file)
  }

  #read(file: string): Block {
    const content = this.#reader.read(file)
    const block = { size: content?.bytes ?? 0, lines: linesOf(content?.text ?? "") }
    this.#blocks.delete(file)
    this.#blocks.set(file, block)
    if (this.#blocks.size > mostKept) this.#blocks.delete(this.#blocks.keys().next().value!)
    return block
  }
}

const firstOfBlock = (position: number): number => position - position % blockSize

const logPath = (folder: string, position: number): string => {
  const first = firstOfBlock(position)
  return `${folder}${Path.sep}${first}-${first + blockSize - 1}.jsonl`
}

const write = (folder: string, position: number, line: string): void =>
  // The line break comes first, so that a line torn by a kill does not spoil the next one.
  Fs.appendFileSync(logPath(folder, position), `\n${line}`)

const findIn = (
  { lines }: Block,
  folder: string,
  position: number,
  content: Content
): ReturnType<FindLine> => {
  const found = lines.get(position)
  if (found === undefined) return undefined
  return found.length === 1 && plainlyFits(found[0]!, position, content)
    ? found[0]
    : choose(found, content, () => inodeOf(samplePath(folder, position)))
}

const sizeOf = (file: string): number => Fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0

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
