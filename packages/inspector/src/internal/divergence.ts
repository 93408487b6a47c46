import type { TraceIndex } from "@llm-cache/core/TraceIndex"
import { forkLabel } from "./format.ts"
import { SignatureCounts } from "./signatureCounts.ts"

/** How many draws are shown before and behind a divergence, and of one run alone. */
export const context = 3
const mostAlone = 25

/** How many signatures of draws are counted at once. */
const mostCounted = 100_000

/** A fork with other draws in the second run. */
export interface Divergence {
  readonly fork: string
  /** How many draws are the same from the first on. */
  readonly same: number
  readonly a: number
  readonly b: number
}

interface Side {
  readonly index: TraceIndex
  readonly draws: number
  /** Rows, fork by fork. Forks overlap, so only the order inside of one means something. */
  readonly rows: Uint32Array
  /** Where the rows of each fork begin and end, by its name. */
  readonly forks: ReadonlyMap<string, readonly [begin: number, end: number]>
}

/** Where two runs part. Typed arrays, because runs have millions of draws. */
export const divergenceOf = (indexOfA: TraceIndex, indexOfB: TraceIndex) => {
  const [a, b] = [sideOf(indexOfA), sideOf(indexOfB)]
  const divergences: Array<Divergence & { readonly rows: readonly [number | undefined, number | undefined] }> = []
  for (const fork of new Set([...a.forks.keys(), ...b.forks.keys()])) {
    const [one, other] = [rowsOf(a, fork), rowsOf(b, fork)]
    let same = 0
    while (
      same < one.length && same < other.length
      && a.index.signature(one[same]!) === b.index.signature(other[same]!)
    ) same++
    if (same === one.length && same === other.length) continue
    divergences.push({ fork, same, a: one.length, b: other.length, rows: [one[same], other[same]] })
  }
  divergences.sort((one, other) => (one.rows[0] ?? Infinity) - (other.rows[0] ?? Infinity))
  const first = divergences[0]
  const around = (side: Side) =>
    first === undefined
      ? []
      : [...rowsOf(side, first.fork).subarray(Math.max(0, first.same - context), first.same + context)]
  const { alone, both } = divergences.length === 0
    ? { both: a.draws, alone: { a: [], b: [] } }
    : count(a, b)
  return {
    both,
    onlyA: a.draws - both,
    onlyB: b.draws - both,
    divergences: divergences.map(({ rows: _, ...divergence }) => divergence),
    first: first && { fork: first.fork, same: first.same, rows: first.rows, a: around(a), b: around(b) },
    alone
  }
}

const rowsOf = ({ forks, rows }: Side, fork: string): Uint32Array => {
  const [begin, end] = forks.get(fork) ?? [0, 0]
  return rows.subarray(begin, end)
}

const sideOf = (index: TraceIndex): Side => {
  const { draws } = index.state()
  const forks = new Map<string, { count: number }>()
  // Paths with the same name are one fork to a reader of the page.
  const ofPath = index.forks().map(({ path }) => {
    const name = forkLabel(path)
    const known = forks.get(name)
    if (known !== undefined) return known
    const fork = { count: 0 }
    forks.set(name, fork)
    return fork
  })
  for (let row = 0; row < draws; row++) ofPath[index.forkOf(row)]!.count++
  const ranges = new Map<string, readonly [number, number]>()
  let end = 0
  for (const [name, fork] of forks) {
    const begin = end
    end += fork.count
    if (fork.count > 0) ranges.set(name, [begin, end])
    // From here on, the place of its next row.
    fork.count = begin
  }
  const rows = new Uint32Array(draws)
  for (let row = 0; row < draws; row++) rows[ofPath[index.forkOf(row)]!.count++] = row
  return { index, draws, rows, forks: ranges }
}

/** Counts draws that both runs have, in any order, and finds the first ones that only one of them has. */
const count = (a: Side, b: Side) => {
  // Each pass counts a part of the signatures: all of them take 24 MB for a million.
  const passes = Math.ceil(a.draws / mostCounted)
  const counts = new SignatureCounts()
  let both = 0
  const alone = { a: new Array<number>(), b: new Array<number>() }
  for (let pass = 0; pass < Math.max(1, passes); pass++) {
    counts.clear()
    const isOfPass = (signature: number) => passes < 2 || (signature >>> 16) % passes === pass
    for (let row = 0; row < a.draws; row++) {
      const signature = a.index.signature(row)
      if (isOfPass(signature)) counts.add(signature)
    }
    const [onlyA, onlyB] = [new Array<number>(), new Array<number>()]
    for (let row = 0; row < b.draws; row++) {
      const signature = b.index.signature(row)
      if (!isOfPass(signature)) continue
      if (counts.take(signature)) both++
      else if (onlyB.length < mostAlone) onlyB.push(row)
    }
    for (let row = 0; row < a.draws && onlyA.length < mostAlone && counts.left > 0; row++) {
      const signature = a.index.signature(row)
      if (isOfPass(signature) && counts.take(signature)) onlyA.push(row)
    }
    alone.a.push(...onlyA)
    alone.b.push(...onlyB)
  }
  const firstOf = (rows: ReadonlyArray<number>) => rows.toSorted((one, other) => one - other).slice(0, mostAlone)
  return { both, alone: { a: firstOf(alone.a), b: firstOf(alone.b) } }
}
