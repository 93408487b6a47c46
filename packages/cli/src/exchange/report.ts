import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { sentence } from "../cache/transfer.ts"
import type { Damaged, Skipped } from "../import/item.ts"
import { count } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import type { PlaceOptions, PlaceResult } from "./place.ts"

/** The most reasons that are told apart. */
const most = 100

interface Reason {
  readonly kind: "skipped" | "damaged"
  readonly reason: string
  readonly first: string
  count: number
}

/** Runs an import, with its progress, the reasons for requests that it left out, and its counts. */
export const report = Effect.fnUntraced(function*<E, R>(
  run: (options: PlaceOptions) => Effect.Effect<PlaceResult, E, R>
) {
  const output = yield* Output
  const reasons = new Map<string, Reason>()
  const onProblem = ({ kind, reason, where }: Damaged | Skipped) =>
    Effect.sync(() => {
      const told = reasons.size < most ? reason : "other reasons"
      const known = reasons.get(`${kind} ${told}`)
      if (known === undefined) reasons.set(`${kind} ${told}`, { kind, reason: told, first: where, count: 1 })
      else known.count++
    })
  const onProgress = ({ copied, damaged, present, skipped }: PlaceResult) =>
    output.progress(`${count(copied + present)} samples, ${count(skipped + damaged)} left out`)
  const counts = yield* run({ onProblem, onProgress })
  yield* output.progress(undefined)
  const rows = [...reasons.values()]
  if (output.isJson) yield* output.rows<Reason, never, never>([], Stream.fromIterable(rows))
  else {
    for (const { count: times, first, kind, reason } of rows) {
      yield* output.note(`${kind}: ${times === 1 ? "" : `${count(times)} times, first `}${first}: ${reason}`)
    }
  }
  if (counts.damaged > 0) yield* output.found
  yield* output.summary(counts, sentence({ ...counts }))
})
