import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StoreError } from "../../SampleError.ts"
import { attempt, failure } from "../directory/errors.ts"
import { Decoder } from "./decode.ts"
import type { Entry } from "./entry.ts"
import { readLines } from "./readLines.ts"

/** The lines of a trace, which the decoder counts. */
export const readEntries = (file: string, decoder = new Decoder()): Stream.Stream<Entry, StoreError> =>
  Stream.suspend(() => {
    const failed = failure(`trace ${file}`, "open")
    const chunks = readLines(file)
    let line = 0
    const page = (
      { done, value }: IteratorResult<ReadonlyArray<string>, void>
    ): Effect.Effect<readonly [ReadonlyArray<Entry>, Option.Option<undefined>], StoreError> => {
      if (done) return Effect.succeed([[], Option.none()])
      const entries: Array<Entry> = []
      for (const text of value) {
        line++
        const entry = decoder.decode(text)
        if (entry === "damaged") {
          return failed({
            kind: "Damaged",
            description: `line ${line} is no line of a trace: restore the file, or delete it`
          })
        }
        if (entry !== undefined) entries.push(entry)
      }
      return Effect.succeed([entries, Option.some(undefined)])
    }
    return Stream.paginate(undefined, () => Effect.flatMap(attempt(failed, () => chunks.next()), page)).pipe(
      Stream.ensuring(Effect.sync(() => chunks.return()))
    )
  })
