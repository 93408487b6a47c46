import type { Drawn, Metadata } from "../../Sample.ts"
import { crc32 } from "../node.ts"
import { sealRest, unsealRest } from "../store/sealedRest.ts"
import type { Content } from "./fileReader.ts"

/** The metadata of a sample beside its text. */
export type Provenance = Omit<Drawn, "text">

type Fields = Readonly<Record<string, unknown>>

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
    id,
    inode,
    ...sealRest(drawn.metadata),
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

/** Whether a line surely describes the content at its position. Needs no parsing. A line that was cut off has no end. */
export const plainlyFits = (line: string, position: number, { bytes, crc32 }: Content): boolean =>
  line.startsWith(`${beginning}${position},"bytes":${bytes},"crc32":${crc32},`) && line.endsWith("}") &&
  !line.endsWith(retraction)

/** Every line of a position describes another content: the sample is damaged. */
export const differs = Symbol("differs")

/** The log has no line of a position: what is there is not known to be a sample. */
export const unknown = Symbol("unknown")

/** The line that has the log take a file as it is. */
export const accept = (position: number, { bytes, crc32 }: Pick<Content, "bytes" | "crc32">): string =>
  JSON.stringify({ position, bytes, crc32 })

/** Chooses the line of one position that describes its content. */
export const choose = (
  lines: ReadonlyArray<string>,
  { bytes, crc32 }: Pick<Content, "bytes" | "crc32">,
  inode: () => number | undefined
): string | typeof differs | typeof unknown => {
  const valid = parseValid(lines)
  if (valid.length === 0) return unknown
  const fitting = valid.filter(({ fields }) => fields["bytes"] === bytes && fields["crc32"] === crc32)
  // A process may have been killed between announcing an equal text and writing it, or retracting its line.
  if (fitting.length > 1) {
    const written = inode()
    const found = fitting.find(({ fields }) => fields["inode"] === written)
    if (found !== undefined) return found.line
  }
  return fitting[0]?.line ?? differs
}

/** Parses lines, the last first, without retracted lines and lines that a kill tore. */
const parseValid = (
  lines: ReadonlyArray<string>
): ReadonlyArray<{ readonly line: string; readonly fields: Fields }> => {
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
    return fields === undefined ? [] : [{ line, fields }]
  })
}

/** Whether the sample that was put with this id was announced. */
export const isAnnounced = (lines: ReadonlyArray<string>, id: string): boolean =>
  parseValid(lines).some(({ fields }) => fields["id"] === id)

/** Whether a line is that of the sample that was put with this id. */
export const isLineOf = (line: string, id: string): boolean => parse(line)?.["id"] === id

// `undefined` for a line that a kill tore: its sample was not written.
const parse = (line: string): Fields | undefined => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** The metadata and origins in a line, none without a line. */
export const provenanceOf = (line: string | undefined): Provenance => {
  const fields = line === undefined ? undefined : parse(line)
  return fields === undefined
    ? { metadata: {}, origins: [] }
    : { metadata: unsealRest(metadataOf(fields)) ?? {}, origins: originsOf(fields["origins"]) }
}

/** Whether a line has a `rest` that differs from its checksum. */
export const hasDamagedRest = (line: string): boolean => {
  // Most lines have none, and need no parsing.
  if (!line.includes(`"restCrc32":`)) return false
  const fields = parse(line)
  return fields === undefined || unsealRest(metadataOf(fields)) === undefined
}

const metadataTypes: { readonly [Name in keyof Required<Metadata>]: "string" | "number" | "object" } = {
  request: "string",
  index: "number",
  model: "string",
  finishReason: "string",
  refusal: "string",
  reasoning: "string",
  responseId: "string",
  createdAt: "number",
  elapsed: "number",
  requestSamples: "number",
  inputTokens: "number",
  outputTokens: "number",
  rest: "object"
}

const ownFields = new Set(["position", "bytes", "crc32", "id", "inode", "origins"])

// A later version may know more fields: copies keep them.
const metadataOf = (fields: Fields): Metadata => {
  const metadata: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    const type = (metadataTypes as Fields)[name] ?? typeof value
    if (!ownFields.has(name) && typeof value === type) metadata[name] = value
  }
  return metadata
}

const originsOf = (value: unknown): ReadonlyArray<number> =>
  Array.isArray(value) ? value.filter((origin) => Number.isSafeInteger(origin)) : []
