import type { Drawn, Entry } from "@llm-cache/core/Sample"
import { damagedSample } from "@llm-cache/core/StoreFault"
import { FaultError, isOutOfRange } from "./errors.ts"
import { decodeId, decodeSample, encodeSample, type Row } from "./rows.ts"
import { type ReadStatements, type Statements, straysFrom } from "./schema.ts"

/** How many samples one statement reads: there may be a gap behind the first. */
const readSize = 256

/** The number of a key, `undefined` if it has none. */
export const numberOf = (statements: ReadStatements, digest: Buffer): number | undefined =>
  (statements.key.get(digest) as Row | undefined)?.[0] as number | undefined

/** The samples from a position on: at most `count`, up to a gap or a damaged sample. Throws if the first is damaged. */
export const read = (statements: ReadStatements, digest: Buffer, from: number, count: number): ReadonlyArray<Drawn> => {
  // A statement for a single sample: the benchmark's row `sqlite-prompts` needs it.
  if (count === 1) return readOne(statements, digest, from)
  const samples: Array<Drawn> = []
  try {
    for (const row of rowsFrom(statements, digest, from, count)) {
      const sample = decodeSample(row)
      if (sample === undefined) {
        if (samples.length > 0) break
        throw damaged(from)
      }
      samples.push(sample)
    }
    return samples
  } catch (cause) {
    // The driver throws for the whole result if one of its rows has a number out of range.
    if (isOutOfRange(cause)) return readEach(statements, digest, from, count)
    throw cause
  }
}

const readOne = (statements: ReadStatements, digest: Buffer, position: number): ReadonlyArray<Drawn> => {
  const row = rowOf(statements, digest, position)
  if (row === undefined) return []
  const sample = decodeSample(row)
  if (sample === undefined) throw damaged(position)
  return [sample]
}

const damaged = (position: number) => new FaultError(damagedSample(`the row in \`samples\` at position ${position}`))

const readEach = (statements: ReadStatements, digest: Buffer, from: number, count: number): ReadonlyArray<Drawn> => {
  const samples = [...readOne(statements, digest, from)]
  while (samples.length > 0 && samples.length < count) {
    try {
      const [sample] = readOne(statements, digest, from + samples.length)
      if (sample === undefined) break
      samples.push(sample)
    } catch {
      break
    }
  }
  return samples
}

const rowOf = (statements: ReadStatements, digest: Buffer, position: number): Row | undefined =>
  statements[position < straysFrom ? "sample" : "stray"].get(digest, position) as Row | undefined

const rowsFrom = (statements: ReadStatements, digest: Buffer, from: number, count: number): ReadonlyArray<Row> => {
  const key = numberOf(statements, digest)
  const found: Array<Row> = []
  if (key === undefined) return found
  while (found.length < count) {
    const start = from + found.length
    if (start >= straysFrom) {
      const stray = rowOf(statements, digest, start)
      if (stray === undefined) break
      found.push(stray)
      continue
    }
    const end = Math.min(start + Math.min(count - found.length, readSize), straysFrom)
    for (const row of arrays(statements.samples.all(key, start, end - 1))) {
      if (row.at(-1) !== from + found.length) break
      found.push(row)
    }
    if (from + found.length < end) break
  }
  return found
}

/** The positions that have a sample, in ascending order. */
export const positions = (statements: ReadStatements, digest: Buffer): ReadonlyArray<number> => {
  const key = numberOf(statements, digest)
  return key === undefined ? [] : [
    ...arrays(statements.positions.all(key, 0, straysFrom - 1)),
    ...arrays(statements.strayPositions.all(key))
  ].map((row) => row[0] as number)
}

/** Puts a sample at its position, or at the next free one, and returns that position, `undefined` if it is dropped. */
export const place = (
  statements: Statements,
  key: number,
  entry: Entry,
  ifTaken: "drop" | "append"
): number | undefined => {
  let { position } = entry
  if (put(statements, key, entry, position)) return position
  for (const [taken, id] of idsFrom(statements, key, position)) {
    if (taken !== position) break
    if (entry.id !== undefined && decodeId(id) === entry.id) return position
    if (ifTaken === "drop") return undefined
    position++
  }
  put(statements, key, entry, position)
  return position
}

const put = (statements: Statements, key: number, entry: Entry, position: number): boolean =>
  statements[position < straysFrom ? "putSample" : "putStray"].run(...encodeSample(entry, key, position)).changes === 1

function* idsFrom(statements: Statements, key: number, position: number): Generator<Row> {
  if (position < straysFrom) yield* arrays(statements.ids.iterate(key, position, straysFrom - 1))
  yield* arrays(statements.strayIds.iterate(key, position))
}

export const remove = (statements: Statements, digest: Buffer, position: number): void => {
  statements[position < straysFrom ? "removeSample" : "removeStray"].run(digest, position)
}

/** The rows in the form of `setReturnArrays`, which the types of node:sqlite do not know. */
export const arrays = (rows: Iterable<unknown>) => rows as Iterable<Row>
