import * as Trace from "@llm-cache/core/Trace"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import { UsageError } from "../errors.ts"
import * as flags from "../flags.ts"
import { ago, count, plural } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { printable } from "../output/printable.ts"
import { nameOf, startOf } from "../run/findRun.ts"

/** A run without an end that wrote nothing for so long was killed. In milliseconds. */
const idle = 86_400_000

interface Row {
  readonly id: string
  readonly name: string
  readonly start: string | null
  readonly asked: number
  readonly replayed: number
  readonly bought: number
  readonly missed: number
  readonly isReplay: boolean
  readonly exit: number | null
}

export const command = Command.make(
  "runs",
  {
    olderThan: Flag.String("older-than").pipe(
      Flag.optional,
      Flag.withMetavar("TIME"),
      Flag.withDescription("Only runs that started before that time, such as '30 days'")
    ),
    prune: Flag.Boolean("prune").pipe(
      Flag.withoutNegation,
      Flag.withDefault(false),
      Flag.withDescription("Delete the traces of these runs. Samples stay")
    ),
    yes: flags.yes,
    cache: flags.cache
  },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const now = yield* Clock.currentTimeMillis
    const age = Option.map(input.olderThan, (text) => Duration.fromInput(text as Duration.Input))
    if (Option.isSome(age) && Option.isNone(age.value)) {
      return yield* new UsageError({ message: "--older-than is no time: give one such as '30 days' or '12 hours'" })
    }
    const before = Option.match(Option.flatten(age), {
      onNone: () => Infinity,
      onSome: (duration) => now - Duration.toMillis(duration)
    })
    const all = yield* Trace.list(Trace.directoryOf(input.cache))
    const chosen: Array<{ readonly run: Trace.Run; readonly row: Row }> = []
    for (const run of all) {
      const start = startOf(run.id)
      if (Date.parse(start ?? "") >= before) continue
      const receipt = yield* Effect.catchTag(
        Trace.receipt(run.file),
        "StoreError",
        (error) => Effect.as(Effect.andThen(output.note(error.message), output.found), undefined)
      )
      if (receipt === undefined) continue
      // A run that goes on writes to its trace.
      if (input.prune && receipt.exit === undefined && now - Fs.statSync(run.file).mtimeMs < idle) continue
      const { asked, bought, exit = null, isReplay, missed, replayed } = receipt
      chosen.push({
        run,
        row: { id: run.id, name: nameOf(run.id), start, asked, replayed, bought, missed, isReplay, exit }
      })
    }
    yield* output.rows<Row, never, never>(
      [
        { title: "RUN", text: ({ id }) => printable(id), shrinks: true },
        { title: "STARTED", text: ({ start }) => ago(start, now) },
        { title: "ASKED", text: ({ asked }) => count(asked), align: "right" },
        { title: "REPLAYED", text: ({ replayed }) => count(replayed), align: "right" },
        { title: "BOUGHT", text: ({ bought }) => count(bought), align: "right" },
        { title: "MISSED", text: ({ missed }) => count(missed), align: "right" },
        { title: "EXIT", text: ({ exit }) => exit === null ? "" : String(exit), align: "right" }
      ],
      Stream.fromIterable(chosen.map(({ row }) => row))
    )
    if (!input.prune) {
      if (chosen.length === 0) yield* output.note(`no runs of ${input.cache} have a trace`)
      return
    }
    if (input.yes) {
      for (const { run } of chosen) yield* Trace.remove(run.file)
    }
    const runs = plural(chosen.length, "trace")
    yield* output.summary(
      { deleted: input.yes ? chosen.length : 0 },
      input.yes ? `deleted ${runs}` : `nothing was deleted: add --yes to delete ${runs}`
    )
  })
).pipe(
  Command.withDescription("Lists the runs of a cache that have a trace, or deletes old traces"),
  Command.withExamples([
    { command: "llm-cache runs", description: "The runs of the default cache" },
    { command: "llm-cache runs --older-than '30 days' --prune --yes", description: "Deletes old traces" }
  ])
)
