import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { interpret, type Program } from "./reference/interpreter.ts"
import { execute, Programs } from "./reference/program.ts"
import { makeDirectory } from "./support/directory.ts"

const runs = Number(process.env["LLM_CACHE_REFERENCE_RUNS"] ?? 1000)
const seed = process.env["LLM_CACHE_REFERENCE_SEED"] ?? "reference"

const options = (runs: number) => ({
  timeout: 30_000 + runs * 50,
  arbitrary: { runs, seed, size: 40, maxShrinks: 2000 }
})

const agree = (program: Program, root?: string) =>
  Effect.map(execute(program, root), ({ outcome: library, traces }) => {
    const meaning = interpret(program, traces)
    assert.deepStrictEqual(
      library,
      meaning,
      `\nlibrary ${JSON.stringify(library)}\nmeaning ${JSON.stringify(meaning)}\n`
    )
  })

describe("the library and its meaning agree on every value, every request and what is stored", () => {
  it.effect.prop(
    `over ${runs} programs whose stores are in memory`,
    { program: Programs },
    ({ program }) => agree(program),
    options(runs)
  )

  const some = Math.ceil(runs / 20)
  it.effect.prop(
    `over ${some} programs whose stores are directories`,
    { program: Programs },
    ({ program }) => Effect.scoped(Effect.flatMap(makeDirectory, (root) => agree(program, root))),
    options(some)
  )
})
