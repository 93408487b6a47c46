/** The common part of `copy` and `merge`. */
import type { SampleConflict, StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import type { TransferResult } from "@llm-cache/core/Transfer"
import * as Effect from "effect/Effect"
import { ConflictError } from "../errors.ts"
import { count } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { damaged } from "./samples.ts"
import { nothingSelected, type Selection } from "./selection.ts"

/** Runs a transfer, and writes its counts. */
export const writeTransfer = Effect.fnUntraced(function*(
  from: Store,
  selection: Selection,
  names: { readonly from: string; readonly to: string },
  transfer: Effect.Effect<TransferResult, SampleConflict | StoreError>
) {
  const output = yield* Output
  const result = yield* Effect.catchTag(transfer, "SampleConflict", ({ key, position }) =>
    new ConflictError({
      message:
        `the two caches have different samples at position ${position} of prompt ${key.promptHash.slice(0, 8)} ` +
        `(${key.identity}), and maybe more of them: see llm-cache diff ${names.from} ${names.to}, and choose with ` +
        `llm-cache merge ${names.from} ${names.to} --if-different ours, theirs or append`
    }))
  yield* output.progress(undefined)
  for (const error of result.damaged) yield* damaged(error)
  const counts = { ...result, damaged: result.damaged.length }
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0)
  if (total === 0 && !selection.isEverything) yield* nothingSelected(from)
  yield* output.summary(counts, sentence(counts))
})

/** The counts that are not 0, and always the first. */
export const sentence = (counts: { readonly [name: string]: number }): string =>
  Object.entries(counts)
    .filter(([, n], i) => i === 0 || n > 0)
    .map(([name, n]) => `${count(n)} ${name}`)
    .join(", ")
