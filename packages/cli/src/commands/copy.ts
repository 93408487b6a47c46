import * as Transfer from "@llm-cache/core/Transfer"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { openTwo } from "../cache/openCache.ts"
import { selected, selectionOf } from "../cache/selection.ts"
import { writeTransfer } from "../cache/transfer.ts"
import * as flags from "../flags.ts"
import { Output } from "../output/Output.ts"
import { progressOf } from "../output/progressOf.ts"

export const command = Command.make(
  "copy",
  {
    from: flags.cacheArgument("FROM", "The cache that is read"),
    to: flags.cacheArgument("TO", "The cache that gets the samples; it is created if it does not exist"),
    ...flags.selection,
    skipDamaged: flags.skipDamaged
  },
  Effect.fnUntraced(function*(input) {
    const selection = yield* selectionOf(input)
    const [from, to] = yield* openTwo(input.from, input.to, "write")
    yield* writeTransfer(
      from,
      selection,
      input,
      Transfer.copy(selected(from, selection), to, {
        damaged: input.skipDamaged ? "skip" : "fail",
        onProgress: progressOf(yield* Output, "copied")
      })
    )
  })
).pipe(
  Command.withDescription(
    "Copies samples to another cache, each to the same model, prompt, fork and position. Samples that are there already are " +
      "skipped, so a copy that was stopped continues when it is run again"
  ),
  Command.withExamples([
    { command: "llm-cache copy ~/.llm_cache samples.db", description: "A whole cache into a file" },
    {
      command: "llm-cache copy ~/.llm_cache shared 'gpt-4o*' @0-9",
      description: "Ten samples of each prompt of some models"
    }
  ])
)
