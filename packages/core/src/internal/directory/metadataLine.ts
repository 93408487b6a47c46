import { crc32 } from "node:zlib"
import type { Drawn, Metadata } from "../../Sample.ts"
import { sampleName } from "../store/sampleName.ts"
import type { Content } from "./fileReader.ts"

/** The metadata of a sample beside its text. */
export type Provenance = Omit<Drawn, "text">

/** The fields of a line, as they were read. */
export type Fields = Readonly<Record<string, unknown>>

const beginning = `{"position":`

/** The end of a line that retracts another. Up to here the two are the same. */
const retraction = `,"retracted":true}`

/**
 * The line of a sample. The inode has to stay: after two processes announced equal texts for one position, and one was
 * killed, nothing else tells which of them wrote the file.
 */
export const encode = (position: number, drawn: Drawn, id: string | undefined, inode: number): string =>
  JSON.stringify({
    position,
    bytes: Buffer.byteLength(drawn.text),
    crc32: crc32(drawn.text),
    id: id === sampleName(drawn) ? undefined : id,
    inode,
    ...drawn.metadata,
    ...(drawn.origins.length === 0 ? undefined : { origins: drawn.origins })
  })

/** Retracts a line: another writer took the position first. */
export const retract = (line: string): string => `${line.slice(0, -1)}${retraction}`

/** The position of the sample that a line of a file is about, `undefined` if the text at `start` is no such line. */
export const positionAt = (text: string, start: number, end: number): number | undefined => {
  if (!text.startsWith(beginning, start)) return undefined
  const position = Number.parseInt(text.slice(start + beginning.length, end))
  return Number.isNaN(position) ? undefined : position
}

/** Whether a line surely describes the content at its position. Needs no parsing. */
export const plainlyFits = (line: string, position: number, { bytes, crc32 }: Content): boolean =>
  line.startsWith(`${beginning}${position},"bytes":${bytes},"crc32":${crc32},`) && !line.endsWith(retraction)

/**
 * Chooses the line of one position that describes its content: `undefined` if no line describes a sample, `"differs"` if
 * every line describes another content.
 */
export const choose = (
  lines: ReadonlyArray<string>,
  { bytes, crc32 }: Content,
  inode: () => number | undefined
): Fields | "differs" | undefined => {
  const valid = parseValid(lines)
  if (valid.length === 0) return undefined
  const fitting = valid.filter((line) => line["bytes"] === bytes && line["crc32"] === crc32)
  // A process may have been killed between announcing an equal text and writing it, or retracting its line.
  if (fitting.length > 1) {
    const written = inode()
    const found = fitting.find((line) => line["inode"] === written)
    if (found !== undefined) return found
  }
  return fitting[0] ?? "differs"
}

/** Parses lines, the last first, without retracted lines and lines that a kill tore. */
export const parseValid = (lines: ReadonlyArray<string>): ReadonlyArray<Fields> => {
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

/** The fields of a line, `undefined` if a kill tore it: then its sample was not written. */
export const parse = (line: string): Fields | undefined => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Whether a line announces the sample of this id: its name, or the id it was put with if it has none. */
export const announces = (fields: Fields, id: string): boolean =>
  fields["id"] === id || sampleName({ text: "", metadata: metadataOf(fields) }) === id

/** The metadata and origins in a line. */
export const provenanceOf = (fields: Fields | undefined): Provenance =>
  fields === undefined
    ? { metadata: {}, origins: [] }
    : { metadata: metadataOf(fields), origins: originsOf(fields["origins"]) }

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

const metadataOf = (fields: Fields): Metadata => {
  const metadata: Record<string, unknown> = {}
  for (const [name, type] of metadataEntries) {
    const value = fields[name]
    if (typeof value === type) metadata[name] = value
  }
  return metadata
}

const originsOf = (value: unknown): ReadonlyArray<number> =>
  Array.isArray(value) ? value.filter((origin) => Number.isSafeInteger(origin)) : []
