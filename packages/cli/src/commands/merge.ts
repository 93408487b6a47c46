import type { Store } from "@llm-cache/core/SampleStore"
import * as Transfer from "@llm-cache/core/Transfer"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { writeDifferences } from "../cache/differences.ts"
import { openTwo } from "../cache/openCache.ts"
import { selected, selectionOf } from "../cache/selection.ts"
import { sentence, writeTransfer } from "../cache/transfer.ts"
import * as flags from "../flags.ts"
import { Output } from "../output/Output.ts"
import { progressOf } from "../output/progressOf.ts"

export const command = Command.make(
  "merge",
  {
    from: flags.cacheArgument("FROM", "The cache that is read"),
    to: flags.cacheArgument("TO", "The cache that gets the samples"),
    ...flags.selection,
    ifDifferent: Flag.Literals("if-different", ["fail", "ours", "theirs", "append"]).pipe(
      Flag.withDefault("fail"),
      Flag.withDescription(
        "What to do at a position where the caches differ: fail, keep the sample of TO (ours), replace it by that of FROM " +
          "(theirs, with --yes), or append the sample of FROM behind the others"
      )
    ),
    skipDamaged: flags.skipDamaged,
    yes: flags.yes
  },
  Effect.fnUntraced(function*(input) {
    const { ifDifferent } = input
    const selection = yield* selectionOf(input)
    const [from, to] = yield* openTwo(input.from, input.to, "write")
    if (ifDifferent === "theirs" && !input.yes) return yield* preview(selected(from, selection), to)
    yield* writeTransfer(
      from,
      selection,
      input,
      Transfer.merge(selected(from, selection), to, {
        ifDifferent,
        damaged: input.skipDamaged ? "skip" : "fail",
        onProgress: progressOf(yield* Output, "merged")
      })
    )
  })
).pipe(
  Command.withDescription("Copies samples to a cache that may have other samples at their positions"),
  Command.withExamples([
    { command: "llm-cache merge theirs.db ~/.llm_cache --if-different append", description: "The samples of both" },
    {
      command: "llm-cache merge new.db old.db --if-different theirs",
      description: "Shows what would be replaced; with --yes it is"
    }
  ])
)

// A sample that is replaced is lost, so the command shows them first.
const preview = Effect.fnUntraced(function*(from: Store, to: Store) {
  const output = yield* Output
  const titles = { onlyA: "copied", onlyB: "kept", different: "replaced" }
  const { different, onlyA, same } = yield* writeDifferences(from, to, ["different"], titles)
  const counts = { copied: onlyA, present: same, replaced: different }
  yield* output.summary({ ...counts, done: false }, `nothing was changed: add --yes to merge (${sentence(counts)})`)
})
