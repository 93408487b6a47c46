import * as Trace from "@llm-cache/core/Trace"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as flags from "../flags.ts"
import { count } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { findRun, runArgument } from "../run/findRun.ts"
import { receiptFields } from "../run/receipt.ts"

export const command = Command.make(
  "stats",
  { run: runArgument, cache: flags.cache },
  Effect.fnUntraced(function*({ cache, run }) {
    const output = yield* Output
    const row = receiptFields(yield* Trace.receipt((yield* findRun(cache, run)).file))
    if (!output.isTerminal) return yield* output.rows<object, never, never>([], Stream.succeed(row))
    yield* output.rows<readonly [string, string], never, never>(
      [{ title: "", text: ([name]) => name }, { title: "", text: ([, value]) => value, align: "right" }],
      Stream.fromIterable(
        Object.entries(row).map((
          [name, value]
        ) => [
          wordsOf(name),
          typeof value === "number" ? count(value) : value === null ? "running, or killed" : value ? "yes" : "no"
        ])
      )
    )
  })
).pipe(
  Command.withDescription("The receipt of a run: what it asked, replayed, requested and missed"),
  Command.withExamples([{ command: "llm-cache stats last", description: "The last run" }])
)

const wordsOf = (name: string): string => name.replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`)
