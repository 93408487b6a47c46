import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { meaningOf } from "./reference/meaning.ts"
import { execute, Programs } from "./reference/program.ts"

const runs = 2 * Number(process.env["LLM_CACHE_ALIKE_RUNS"] ?? 50)

it.effect.prop(
  "programs of texts, objects, streams, tools and forks have the values, requests and samples of their meaning",
  { program: Programs },
  ({ program }) =>
    Effect.map(execute(program), (library) => {
      const meaning = meaningOf(program)
      assert.deepStrictEqual(
        library,
        meaning,
        `\nlibrary ${JSON.stringify(library)}\nmeaning ${JSON.stringify(meaning)}\n`
      )
    }),
  { arbitrary: { runs, size: 30, maxShrinks: 2000 }, timeout: 30_000 + runs * 50 }
)
