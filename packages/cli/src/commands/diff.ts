import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { writeDifferences } from "../cache/differences.ts"
import { openTwo } from "../cache/openCache.ts"
import { selected, selectionOf } from "../cache/selection.ts"
import * as flags from "../flags.ts"
import { count } from "../output/format.ts"
import { Output } from "../output/Output.ts"

export const command = Command.make(
  "diff",
  {
    a: flags.cacheArgument("A", "One cache"),
    b: flags.cacheArgument("B", "The other cache"),
    ...flags.selection,
    text: Flag.Boolean("text").pipe(
      Flag.withoutNegation,
      Flag.withDefault(false),
      Flag.withDescription("Also the texts that differ: word by word on a terminal, and as textA and textB in JSON")
    )
  },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const selection = yield* selectionOf(input)
    const [a, b] = yield* openTwo(input.a, input.b, "read")
    const { damaged, different, onlyA, onlyB, same } = yield* writeDifferences(
      selected(a, selection),
      selected(b, selection),
      ["onlyA", "onlyB", "different"],
      { onlyA: "only in A", onlyB: "only in B", different: "different" },
      input.text
    )
    yield* output.summary(
      { same, onlyA, onlyB, different, damaged },
      `${count(same)} the same, ${count(onlyA)} only in A, ${count(onlyB)} only in B, ${count(different)} different` +
        (damaged > 0 ? `, ${count(damaged)} damaged` : "")
    )
  })
).pipe(
  Command.withDescription(
    "Compares two caches, position by position. The exit code is 0 if they have the same samples, and 1 if not"
  ),
  Command.withExamples([
    { command: "llm-cache diff ~/.llm_cache shared.db", description: "All differences" },
    { command: "llm-cache diff mine.db theirs.db f1d8", description: "The differences of one prompt" },
    { command: "llm-cache diff mine.db theirs.db f1d8 @0-9 --text", description: "With the texts, word by word" }
  ])
)
