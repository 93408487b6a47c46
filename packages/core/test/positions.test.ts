import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Positions } from "../src/internal/model/positions.ts"
import { count } from "./support/stack.ts"

describe("Positions", () => {
  it.prop(
    "are counted in any range",
    {
      listed: Schema.UniqueArray(count(0, 30)),
      added: Schema.Array(count(0, 60)),
      start: count(0, 70),
      size: count(0, 70)
    },
    ({ added, listed, size, start }) => {
      const positions = new Positions(listed.toSorted((a, b) => a - b))
      for (const position of added) positions.add(position)
      const all = [...new Set([...listed, ...added])]
      assert.strictEqual(
        positions.count(start, start + size),
        all.filter((position) => position >= start && position < start + size).length
      )
      assert.deepStrictEqual(all.filter((position) => !positions.has(position)), [])
      assert.isFalse(positions.has(61))
    },
    { arbitrary: { runs: 500 } }
  )
})
