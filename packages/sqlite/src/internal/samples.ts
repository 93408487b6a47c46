import type { Entry } from "@llm-cache/core/Sample"
import { ofSample, type Row } from "./rows.ts"
import { own, type Statements } from "./schema.ts"

// What is done with the samples of a key, which is named by its digest or its number.

/** How many samples are read at a time: there may be a gap behind the first. */
const atATime = 256

/** The number of a key, where it has one. */
export const keyOf = (statements: Statements, digest: Buffer): number | undefined =>
  (statements.key.get(digest) as Row | undefined)?.[0] as number | undefined

export const get = (statements: Statements, digest: Buffer, position: number): Row | undefined =>
  statements[position < own ? "get" : "getStray"].get(digest, position) as Row | undefined

/** The rows from a position on: at most `count`, up to the first gap. */
export const getMany = (statements: Statements, digest: Buffer, from: number, count: number): ReadonlyArray<Row> => {
  const key = keyOf(statements, digest)
  const found: Array<Row> = []
  if (key === undefined) return found
  while (found.length < count) {
    const start = from + found.length
    if (start >= own) {
      const stray = get(statements, digest, start)
      if (stray === undefined) break
      found.push(stray)
      continue
    }
    const end = Math.min(start + Math.min(count - found.length, atATime), own)
    for (const row of rowsOf(statements.getMany.all(key, start, end - 1))) {
      if (row.at(-1) !== from + found.length) break
      found.push(row)
    }
    if (from + found.length < end) break
  }
  return found
}

export const positions = (statements: Statements, digest: Buffer): ReadonlyArray<number> => {
  const key = keyOf(statements, digest)
  return key === undefined ? [] : [
    ...rowsOf(statements.positions.all(key, 0, own - 1)),
    ...rowsOf(statements.strayPositions.all(key))
  ].map((row) => row[0] as number)
}

/** Positions from one on, and the ids of their entries. */
export function* held(statements: Statements, key: number, position: number): Generator<Row> {
  if (position < own) yield* rowsOf(statements.held.iterate(key, position, own - 1))
  yield* rowsOf(statements.heldStrays.iterate(key, position))
}

/** Puts a sample where its position is free, and tells whether it was. */
export const put = (statements: Statements, key: number, entry: Entry, position: number): boolean =>
  statements[position < own ? "putSample" : "putStray"].run(...ofSample(entry, key, position)).changes === 1

export const remove = (statements: Statements, digest: Buffer, position: number): void => {
  statements[position < own ? "remove" : "removeStray"].run(digest, position)
}

// As `setReturnArrays` makes them.
export const rowsOf = (rows: Iterable<unknown>) => rows as Iterable<Row>
