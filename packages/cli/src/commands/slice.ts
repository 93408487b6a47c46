import * as Transfer from "@llm-cache/core/Transfer"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { openTwo } from "../cache/openCache.ts"
import { sentence } from "../cache/transfer.ts"
import { ConflictError, UsageError } from "../errors.ts"
import * as flags from "../flags.ts"
import { ranges } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { progressOf } from "../output/progressOf.ts"
import { findRun, runArgument } from "../run/findRun.ts"
import { usedStore } from "../run/usedStore.ts"

export const command = Command.make(
  "slice",
  { run: runArgument, to: flags.cacheArgument("TO", "The slice"), cache: flags.cache },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const run = yield* findRun(input.cache, input.run)
    const [from, to] = yield* openTwo(input.cache, input.to, "write")
    const { missing, others, store } = yield* usedStore(from, run)
    if (others.length > 1) {
      return yield* new UsageError({
        message: `${run.id} drew from ${others.join(" and ")}, and not from ${from.id}: give one of them as --cache`
      })
    }
    if (others.length === 1) {
      yield* output.note(`${run.id} drew from ${others[0]}, and the slice is made of the same positions of ${from.id}`)
    }
    const result = yield* Transfer.copy(store, to, { onProgress: progressOf(output, "copied") }).pipe(
      Effect.catchTag("SampleConflict", ({ key, position }) =>
        new ConflictError({
          message: `${input.to} has another sample at position ${position} of prompt ${key.promptHash.slice(0, 8)}: ` +
            "give a new name for the slice"
        }))
    )
    yield* output.progress(undefined)
    for (const { identity, positions, promptHash } of missing) {
      yield* output.note(`${from.id} has no longer ${identity}, prompt ${promptHash.slice(0, 8)} @${ranges(positions)}`)
      yield* output.found
    }
    const { copied, present } = result
    const counts = { copied, present, missing: missing.reduce((sum, { positions }) => sum + positions.length, 0) }
    yield* output.summary(counts, sentence(counts))
  })
).pipe(
  Command.withDescription("Copies the samples that a run drew, as a nested cache would have recorded them"),
  Command.withExamples([{
    command: "llm-cache slice last paper.db",
    description: "The part of the default cache that the last run used"
  }])
)
