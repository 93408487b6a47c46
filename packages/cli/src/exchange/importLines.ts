import * as MemoryStore from "@llm-cache/core/MemoryStore"
import type { SampleConflict, StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Transfer from "@llm-cache/core/Transfer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { TextLine } from "../import/files.ts"
import { type Damaged, damaged, type ImportError } from "../import/item.ts"
import type { PlaceOptions, PlaceResult } from "./place.ts"
import { decodeLine } from "./sampleLine.ts"

/** Samples that are put at a time. */
const chunk = 1000

/**
 * Puts the samples of an export into a store, each at its position. Samples that the store has already are skipped. A
 * position that has another sample fails with a `SampleConflict`.
 */
export const importLines = (
  to: Store,
  lines: Stream.Stream<TextLine | Damaged, ImportError>,
  { onProblem, onProgress = () => Effect.void }: PlaceOptions
): Effect.Effect<PlaceResult, ImportError | StoreError | SampleConflict> => {
  const counts = { copied: 0, present: 0, skipped: 0, damaged: 0 }
  const put = Effect.fnUntraced(function*(some: ReadonlyArray<TextLine | Damaged>) {
    const from = yield* MemoryStore.make
    for (const line of some) {
      const decoded = line.kind === "damaged" ? Result.fail(line.reason) : decodeLine(line.text)
      if (Result.isFailure(decoded)) {
        counts.damaged++
        yield* onProblem(damaged(line.where, decoded.failure))
        continue
      }
      const { entry, key } = decoded.success
      const [position] = yield* from.put(key, [entry], "drop")
      if (position === undefined) {
        counts.damaged++
        yield* onProblem(damaged(line.where, `another line has position ${entry.position} of this prompt`))
      }
    }
    const result = yield* Transfer.copy(from, to)
    counts.copied += result.copied
    counts.present += result.present
    yield* onProgress(counts)
  })
  return Effect.as(Stream.runForEach(Stream.grouped(lines, chunk), put), counts)
}
