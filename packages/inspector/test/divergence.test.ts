import { assert, describe, it } from "@effect/vitest"
import type { TraceIndex } from "@llm-cache/core/TraceIndex"
import { Schema } from "effect"
import { divergenceOf } from "../src/internal/divergence.ts"

interface Drawn {
  readonly fork: number
  readonly signature: number
}

/** An index of these draws alone. */
const indexOf = (draws: ReadonlyArray<Drawn>, forks: number) =>
  ({
    state: () => ({ draws: draws.length }),
    forks: () => Array.from({ length: forks }, (_, i) => ({ path: i === 0 ? [] : [`fork ${i}`] })),
    forkOf: (row: number) => draws[row]!.fork,
    signature: (row: number) => draws[row]!.signature
  }) as unknown as TraceIndex

const below = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most - 1 }))
const run = Schema.Array(Schema.Struct({ fork: below(3), signature: below(6) }))

/** The same by the shortest code. */
const expectedOf = (a: ReadonlyArray<Drawn>, b: ReadonlyArray<Drawn>) => {
  const without = (rows: ReadonlyArray<Drawn>, others: ReadonlyArray<Drawn>) => {
    const left = others.map(({ signature }) => signature)
    return rows.filter(({ signature }) => {
      const at = left.indexOf(signature)
      if (at >= 0) left.splice(at, 1)
      return at < 0
    })
  }
  const divergent = [0, 1, 2].flatMap((fork) => {
    const [one, other] = [a, b].map((rows) => rows.filter((row) => row.fork === fork).map((row) => row.signature))
    let same = 0
    while (same < one!.length && one![same] === other![same]) same++
    return same === one!.length && same === other!.length
      ? []
      : [`${fork} ${same} ${one!.length} ${other!.length}`]
  })
  return { both: a.length - without(a, b).length, onlyA: without(a, b).length, onlyB: without(b, a).length, divergent }
}

describe("Run against run", () => {
  it.prop("counts common draws as multisets, and compares each fork in its order", { a: run, b: run }, ({ a, b }) => {
    const { alone, both, divergences, first, onlyA, onlyB } = divergenceOf(indexOf(a, 3), indexOf(b, 3))
    const divergent = divergences.map(({ a, b, fork, same }) =>
      `${fork === "" ? 0 : fork.replace("fork ", "")} ${same} ${a} ${b}`
    )
    assert.deepStrictEqual({ both, onlyA, onlyB, divergent: divergent.toSorted() }, expectedOf(a, b))
    assert.strictEqual(alone.a.length, Math.min(25, onlyA))
    assert.strictEqual(alone.b.length, Math.min(25, onlyB))
    assert.strictEqual(first?.fork, divergences[0]?.fork)
    assert.isTrue(alone.a.every((row) =>
      b.filter((one) => one.signature === a[row]!.signature).length
        < a.filter((one) => one.signature === a[row]!.signature).length
    ))
  })

  it("counts in parts, which together are all", () => {
    // More draws than are counted at once, with signatures that differ in all their bits.
    const draws = Array.from({ length: 250_000 }, (_, i) => ({
      fork: 0,
      signature: (i % 0x100000) * 0x100000000 + (Math.imul(i, 0x9e3779b1) >>> 0)
    }))
    const others = draws.map((draw, i) => i % 10_000 === 9_999 ? { fork: 0, signature: i } : draw)
    const { alone, both, first, onlyA, onlyB } = divergenceOf(indexOf(draws, 1), indexOf(others, 1))
    assert.deepStrictEqual({ both, onlyA, onlyB, same: first?.same }, {
      both: draws.length - 25,
      onlyA: 25,
      onlyB: 25,
      same: 9_999
    })
    assert.deepStrictEqual(alone.a, alone.b)
    assert.deepStrictEqual(alone.a, Array.from({ length: 25 }, (_, i) => i * 10_000 + 9_999))
  })
})
