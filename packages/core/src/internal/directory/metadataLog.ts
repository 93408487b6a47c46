import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import type { Drawn, Metadata } from "../../Sample.ts"
import type { Content, FileReader } from "./fileReader.ts"
import { list } from "./files.ts"

/** How many positions one file of the journal covers: it is read whole, however long the sequence is. */
const blockSize = 256

/** How many files of journals are kept in memory. */
const kept = 32

/** How a line begins. */
const beginning = `{"position":`

/** How the line ends that takes another back, which it begins with. */
const retraction = `,"retracted":true}`

interface Block {
  /** Bytes of the file when it was read. */
  readonly size: number
  /** The lines of each position, not parsed yet. There are several where a position was written again, or raced for. */
  readonly lines: Map<number, string | Array<string>>
}

/** What is known of a prompt's samples, a line of JSON each, in files beside them that are only ever appended to. */
export class Journal {
  readonly #reader: FileReader
  readonly #blocks = new Map<string, Block>()
  /** The file in memory that was last found to be as it is on disk. */
  #current: string | undefined

  constructor(reader: FileReader) {
    this.#reader = reader
  }

  /**
   * Notes what is known of a sample, before its file gets its name. The id is for `places`; the inode of the file tells
   * which one it is where several samples of one text were to be written. Returns the line, for `retract`.
   */
  append(
    folder: string,
    position: number,
    { metadata, origins, text }: Drawn,
    id: string | undefined,
    inode: number
  ): string {
    const line = JSON.stringify({
      position,
      bytes: Buffer.byteLength(text),
      crc32: crc32(text),
      id,
      inode,
      ...metadata,
      ...(origins.length === 0 ? undefined : { origins })
    })
    this.#write(folder, position, line)
    return line
  }

  /** Takes a line back whose sample was not written, because another writer was first. */
  retract(folder: string, position: number, line: string): void {
    this.#write(folder, position, `${line.slice(0, -1)}${retraction}`)
  }

  #write(folder: string, position: number, line: string): void {
    const file = fileOf(folder, position)
    // The line break comes first, so that a line torn by a kill does not spoil the next one.
    Fs.appendFileSync(file, `\n${line}`)
    this.#blocks.delete(file)
  }

  /** Has files that are in memory looked at again: someone may have appended to them since. */
  begin(): void {
    this.#current = undefined
  }

  /** What is known of a sample: `undefined` when nothing is, `"differs"` when something is and it does not fit. */
  find(folder: string, position: number, content: Content): Omit<Drawn, "text"> | "differs" | undefined {
    const file = fileOf(folder, position)
    const cached = this.#blocks.get(file)
    const isCurrent = cached !== undefined && (file === this.#current || cached.size === sizeOf(file))
    this.#current = file
    return match(isCurrent ? cached : this.#read(file), folder, position, content)
  }

  /** Whether all that is known of a sample is one line, and that fits. */
  fits(folder: string, position: number, { bytes, crc32 }: Content): boolean {
    const file = fileOf(folder, position)
    const line = (this.#blocks.get(file) ?? this.#read(file)).lines.get(position)
    return typeof line === "string" &&
      line.startsWith(`${beginning}${position},"bytes":${bytes},"crc32":${crc32},`)
  }

  /** Whether it is the sample with this id whose content is at a position. */
  has(folder: string, position: number, content: Content, id: string): boolean {
    const found = lineOf(this.#read(fileOf(folder, position)), folder, position, content)
    return typeof found === "object" && found["id"] === id
  }

  /** The positions at which the sample with this id was to be written. */
  places(folder: string, id: string): ReadonlyArray<number> {
    return list(folder).filter((name) => name.endsWith(".jsonl")).flatMap((name) =>
      [...this.#read(Path.join(folder, name)).lines].flatMap(([position, lines]) =>
        standing(typeof lines === "string" ? [lines] : lines).some((fields) => fields["id"] === id) ? [position] : []
      )
    )
  }

  #read(file: string): Block {
    const content = this.#reader.read(file)
    const block = { size: content?.bytes ?? 0, lines: linesOf(content?.text ?? "") }
    this.#blocks.delete(file)
    this.#blocks.set(file, block)
    if (this.#blocks.size > kept) this.#blocks.delete(this.#blocks.keys().next().value!)
    return block
  }
}

const fileOf = (folder: string, position: number): string => {
  const first = position - position % blockSize
  return `${folder}${Path.sep}${first}-${first + blockSize - 1}.jsonl`
}

const sizeOf = (file: string): number => Fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0

const linesOf = (text: string): Block["lines"] => {
  const lines: Block["lines"] = new Map()
  for (let start = 0; start < text.length;) {
    const lineBreak = text.indexOf("\n", start)
    const end = lineBreak < 0 ? text.length : lineBreak
    const position = text.startsWith(beginning, start)
      ? Number.parseInt(text.slice(start + beginning.length, end))
      : NaN
    if (!Number.isNaN(position)) {
      const line = text.slice(start, end)
      const same = lines.get(position)
      if (same === undefined) lines.set(position, line)
      else if (typeof same === "string") lines.set(position, [same, line])
      else same.push(line)
    }
    start = end + 1
  }
  return lines
}

const match = (
  block: Block,
  folder: string,
  position: number,
  content: Content
): Omit<Drawn, "text"> | "differs" | undefined => {
  const line = lineOf(block, folder, position, content)
  return typeof line === "object" ? { metadata: metadataOf(line), origins: originsOf(line["origins"]) } : line
}

type Line = Readonly<Record<string, unknown>>

const lineOf = (
  { lines }: Block,
  folder: string,
  position: number,
  { bytes, crc32 }: Content
): Line | "differs" | undefined => {
  const found = lines.get(position)
  if (found === undefined) return undefined
  const fits = (line: Line) => line["bytes"] === bytes && line["crc32"] === crc32
  if (typeof found === "string") {
    const line = found.endsWith(retraction) ? undefined : parse(found)
    return line === undefined || fits(line) ? line : "differs"
  }
  const all = standing(found)
  if (all.length === 0) return undefined
  const fitting = all.filter(fits)
  // Another process was killed before it had written a sample of the same text, or take its line back.
  if (fitting.length > 1) {
    const inode = Fs.statSync(Path.join(folder, `${position}.md`), { throwIfNoEntry: false })?.ino
    const written = fitting.find((line) => line["inode"] === inode)
    if (written !== undefined) return written
  }
  return fitting[0] ?? "differs"
}

// The lines that were not taken back, the last first.
const standing = (lines: ReadonlyArray<string>): ReadonlyArray<Line> => {
  const retracted: Array<string> = []
  return lines.toReversed().flatMap((line) => {
    if (line.endsWith(retraction)) {
      retracted.push(`${line.slice(0, -retraction.length)}}`)
      return []
    }
    const i = retracted.indexOf(line)
    if (i >= 0) {
      retracted.splice(i, 1)
      return []
    }
    const fields = parse(line)
    return fields === undefined ? [] : [fields]
  })
}

const parse = (line: string): Line | undefined => {
  try {
    return JSON.parse(line)
  } catch {
    // torn by a kill: the sample it announced was not written
    return undefined
  }
}

const metadataTypes: { readonly [Name in keyof Required<Metadata>]: "string" | "number" } = {
  request: "string",
  index: "number",
  model: "string",
  finishReason: "string",
  createdAt: "number",
  elapsed: "number",
  requestSamples: "number",
  inputTokens: "number",
  outputTokens: "number"
}

const metadataEntries = Object.entries(metadataTypes)

const metadataOf = (fields: Line): Metadata => {
  const metadata: Record<string, unknown> = {}
  for (const [name, type] of metadataEntries) {
    const value = fields[name]
    if (typeof value === type) metadata[name] = value
  }
  return metadata
}

const originsOf = (value: unknown): ReadonlyArray<number> =>
  Array.isArray(value) ? value.filter((origin) => Number.isSafeInteger(origin)) : []
