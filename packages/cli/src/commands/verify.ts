import type { StoreError } from "@llm-cache/core/SampleError"
import * as Transfer from "@llm-cache/core/Transfer"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { nothingSelected, selected, selectionOf } from "../cache/selection.ts"
import * as flags from "../flags.ts"
import { type KeyFields, keyFields } from "../output/fields.ts"
import { count, forkLabel, modelLabel, plural } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { printable } from "../output/printable.ts"
import { progressOf } from "../output/progressOf.ts"

export const command = Command.make(
  "verify",
  { ...flags.selection, cache: flags.cache },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const selection = yield* selectionOf(input)
    const store = yield* openCache(input.cache, "read")
    const verified = yield* Transfer.verify(selected(store, selection), { onProgress: progressOf(output, "read") })
    yield* output.progress(undefined)
    const rows = verified.damaged.map(rowOf)
    if (rows.length > 0) yield* output.found
    yield* output.isTerminal
      ? output.data(rows.map(paragraph).join(""))
      : output.rows([], Stream.fromIterable(rows))
    if (verified.samples === 0 && rows.length === 0 && !selection.isEverything) yield* nothingSelected(store)
    yield* output.summary(
      { samples: verified.samples, damaged: rows.length },
      `${plural(verified.samples, "sample")}, ${rows.length === 0 ? "none" : count(rows.length)} damaged`
    )
  })
).pipe(
  Command.withDescription("Reads every sample, and tells of each that differs from the sample that was stored"),
  Command.withExamples([
    { command: "llm-cache verify", description: "The whole default cache" },
    { command: "llm-cache verify 'gpt-4o*' --json", description: "The samples of some models, for a program" }
  ])
)

/** A damaged sample. The key is `null` where the damage leaves none, as for files that are no samples. */
interface Row extends Nullable<KeyFields> {
  readonly kind: "damaged"
  readonly position: number | null
  readonly problem: string
}

type Nullable<A> = { readonly [Name in keyof A]: A[Name] | null }

const noKey: Nullable<KeyFields> = { model: null, temperature: null, parameters: null, fork: null, hash: null }

const rowOf = ({ description, key, position }: StoreError): Row => ({
  kind: "damaged",
  ...key === undefined ? noKey : keyFields(key),
  position: position ?? null,
  problem: description
})

const paragraph = ({ fork, hash, model, parameters, position, problem, temperature }: Row): string => {
  const place = model === null || hash === null ? [] : [
    modelLabel({ model, temperature, parameters }),
    ...fork === null || fork.length === 0 ? [] : [`fork ${forkLabel(fork)}`],
    `prompt ${hash.slice(0, 8)}${position === null ? "" : ` @${position}`}`
  ]
  return `${printable(place.join(", ") || "no sample")}\n  ${printable(problem)}\n`
}
