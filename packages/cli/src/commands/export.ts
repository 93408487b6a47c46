import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { selected, selectionOf } from "../cache/selection.ts"
import { exportLines } from "../exchange/exportLines.ts"
import * as flags from "../flags.ts"
import { count } from "../output/format.ts"
import { Output } from "../output/Output.ts"

/** Lines that are written at a time. */
const chunk = 256

export const command = Command.make(
  "export",
  { ...flags.selection, cache: flags.cache },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const selection = yield* selectionOf(input)
    const opened = yield* openCache(input.cache, "read")
    const store = selection.isEverything ? opened : selected(opened, selection)
    let written = 0
    const lines = exportLines(store, {
      onDamaged: ({ message }) => Effect.andThen(output.note(message), output.found)
    })
    yield* Stream.runForEach(Stream.grouped(lines, chunk), (some) =>
      Effect.suspend(() => {
        written += some.length
        // On a terminal, the lines themselves are the progress.
        const progress = output.isTerminal ? Effect.void : output.progress(`${count(written)} samples`)
        return Effect.andThen(output.data(some.join("")), progress)
      }))
    yield* output.progress(undefined)
  })
).pipe(
  Command.withDescription("Writes the samples of a cache as JSON lines, in an order that only the samples decide"),
  Command.withExamples([
    { command: "llm-cache export > samples.jsonl", description: "The default cache" },
    { command: "llm-cache export 'gpt-4o*' --cache samples.db > samples.jsonl", description: "Some models" }
  ])
)
