import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import type { Drawn, Metadata } from "../Sample.ts"
import { list, readIfPresent } from "./files.ts"

/** How many positions one file of the journal covers: it is read whole, however long the sequence is. */
const blockSize = 256

/** How many files of journals are kept in memory. */
const kept = 32

/** How the line ends that takes another back, which it begins with. */
const retraction = `,"retracted":true}`

interface Block {
  /** Bytes of the file when it was read. */
  readonly size: number
  /** The lines of each position, not parsed yet. There are several where a position was written again, or raced for. */
  readonly lines: Map<number, Array<string>>
}

/** What is known of a prompt's samples, a line of JSON each, in files beside them that are only ever appended to. */
export class Journal {
  readonly #blocks = new Map<string, Block>()

  /**
   * Notes what is known of a sample, before the sample itself is written. The id is for `places`. Returns the line, for
   * `retract`.
   */
  append(folder: string, position: number, { metadata, origins, text }: Drawn, id: string | undefined): string {
    const line = JSON.stringify({
      position,
      bytes: Buffer.byteLength(text),
      crc32: crc32(text),
      id,
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

  /** What is known of a sample: `undefined` when nothing is, `"differs"` when something is and it does not fit. */
  find(folder: string, position: number, text: string): Omit<Drawn, "text"> | "differs" | undefined {
    const file = fileOf(folder, position)
    const cached = this.#blocks.get(file)
    if (cached !== undefined) {
      const known = match(cached, position, text)
      // Someone may have appended to the file since.
      if (typeof known === "object" || cached.size === sizeOf(file)) return known
    }
    return match(this.#read(file), position, text)
  }

  /** Whether the sample with this id was written at a position. */
  has(folder: string, position: number, id: string): boolean {
    return standing(this.#read(fileOf(folder, position)).lines.get(position) ?? []).some((fields) =>
      fields["id"] === id
    )
  }

  /** The positions at which the sample with this id was to be written. */
  places(folder: string, id: string): ReadonlyArray<number> {
    return list(folder).filter((name) => name.endsWith(".jsonl")).flatMap((name) =>
      [...this.#read(Path.join(folder, name)).lines].flatMap(([position, lines]) =>
        standing(lines).some((fields) => fields["id"] === id) ? [position] : []
      )
    )
  }

  #read(file: string): Block {
    const content = readIfPresent(file) ?? ""
    const lines = new Map<number, Array<string>>()
    for (const line of content.split("\n")) {
      const position = Number(/^\{"position":(\d+),/.exec(line)?.[1] ?? NaN)
      if (Number.isNaN(position)) continue
      const same = lines.get(position)
      if (same === undefined) lines.set(position, [line])
      else same.push(line)
    }
    const block = { size: Buffer.byteLength(content), lines }
    this.#blocks.delete(file)
    this.#blocks.set(file, block)
    if (this.#blocks.size > kept) this.#blocks.delete(this.#blocks.keys().next().value!)
    return block
  }
}

const fileOf = (folder: string, position: number): string => {
  const first = position - position % blockSize
  return Path.join(folder, `${first}-${first + blockSize - 1}.jsonl`)
}

const sizeOf = (file: string): number => Fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0

const match = ({ lines }: Block, position: number, text: string): Omit<Drawn, "text"> | "differs" | undefined => {
  const candidates = lines.get(position)
  if (candidates === undefined) return undefined
  let readable = false
  for (const fields of standing(candidates)) {
    readable = true
    if (fields["bytes"] === Buffer.byteLength(text) && fields["crc32"] === crc32(text)) {
      return { metadata: metadataOf(fields), origins: originsOf(fields["origins"]) }
    }
  }
  return readable ? "differs" : undefined
}

// The lines that were not taken back, the last first.
const standing = (lines: ReadonlyArray<string>): ReadonlyArray<Record<string, unknown>> => {
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

const parse = (line: string): Record<string, unknown> | undefined => {
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

const metadataOf = (fields: Record<string, unknown>): Metadata =>
  Object.fromEntries(
    Object.entries(metadataTypes).flatMap(([name, type]) => typeof fields[name] === type ? [[name, fields[name]]] : [])
  )

const originsOf = (value: unknown): ReadonlyArray<number> =>
  Array.isArray(value) ? value.filter((origin) => Number.isSafeInteger(origin)) : []
