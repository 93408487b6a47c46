import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Reader } from "../src/internal/model/reader.ts"
import { count } from "./support/stack.ts"

const Step = Schema.Union([
  Schema.Struct({ do: Schema.Literal("take") }),
  Schema.Struct({ do: Schema.Literal("release"), which: count(0, 5) }),
  Schema.Struct({ do: Schema.Literal("claim"), position: count(0, 12) })
])

describe("Reader", () => {
  it.prop(
    "hands out the lowest position that is free and not claimed",
    { steps: Schema.Array(Step) },
    ({ steps }) => {
      const reader = new Reader(0)
      const out: Array<number> = []
      const claimed = new Set<number>()
      for (const step of steps) {
        if (step.do === "take") {
          let lowest = 0
          while (out.includes(lowest) || claimed.has(lowest)) lowest++
          assert.strictEqual(reader.take(), lowest)
          out.push(lowest)
        } else if (step.do === "claim") {
          reader.claim(step.position)
          if (!out.includes(step.position)) claimed.add(step.position)
        } else {
          const [position] = out.splice(step.which, 1)
          if (position !== undefined) reader.release(position)
        }
      }
    },
    { arbitrary: { runs: 500 } }
  )
})
