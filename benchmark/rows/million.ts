import { LlmModel, Persistent, type SampleStore } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Path from "node:path"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { lengthOf, persistent, provider, run, sampleEach } from "../support/models.ts"
import { promptOf } from "../support/payload.ts"

const [few, many] = [10_000, 1_000_000]

export const million: Row = {
  name: "million",
  title: "SQLite, a million prompts: open and first sample",
  operation: "an opening",
  checks: [atMost(1.5, "10,000 prompts")],
  notRun: () =>
    process.env["LLM_CACHE_BENCH_MILLION"] === "1"
      ? undefined
      : "it takes 5 GB and some minutes, set LLM_CACHE_BENCH_MILLION=1",
  setup: async ({ folder }) => {
    const source = await provider()
    const open = (count: number) => SqliteStore.make({ file: Path.join(folder, `${count}.db`) })
    const fill = (count: number) =>
      Effect.scoped(Effect.flatMap(open(count), (store: SampleStore.Store) =>
        Effect.promise(async () => {
          const scope = Scope.makeUnsafe()
          const model = await persistent(store, scope)
          for (let next = 0; next < count; next += few) {
            await run(model, sampleEach(Array.from({ length: few }, (_, i) => promptOf(next + i)), 1000))
          }
        })))
    let next = 0
    const first = (count: number) => () => {
      const prompt = promptOf(next++ * 7919 % count)
      return Effect.runPromise(
        Effect.scoped(
          Effect.flatMap(open(count), (store) =>
            Effect.flatMap(Persistent.make(source, store), (model) =>
              Effect.map(
                Effect.provideService(LlmModel.sampleOne(prompt), LlmModel.LlmModel, model),
                lengthOf
              )))
        )
      )
    }
    for (const count of [few, many]) await Effect.runPromise(fill(count))
    return [
      { name: "1,000,000 prompts", role: "ours", operations: 1, run: first(many) },
      { name: "10,000 prompts", role: "ours", operations: 1, run: first(few) }
    ]
  }
}
