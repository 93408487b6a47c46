/** The changes that live pages wait for. */
import type { StoreError } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import type { Sources } from "./context.ts"

const interval = "400 millis"

/** Looks before a comment keeps the connection alive. */
const quiet = 25

/** Emits whenever a look at something shows another text, until it shows none. The first look is no change. */
const changesOf = (
  look: Effect.Effect<string | undefined, StoreError>
): Stream.Stream<"change" | "wait", StoreError> =>
  Stream.suspend(() => {
    let last: string | undefined
    let since = 0
    const next = Effect.gen(function*() {
      for (let isFirst = true;; isFirst = false) {
        if (last !== undefined || !isFirst) yield* Effect.sleep(interval)
        const seen = yield* look
        if (seen === undefined) return undefined
        const isNew = last === undefined
        const change = !isNew && seen !== last
        last = seen
        if (change || isNew || ++since >= quiet) {
          since = 0
          return [change ? "change" as const : "wait" as const, undefined] as const
        }
      }
    })
    return Stream.unfold(undefined, () => next)
  })

/** The changes of a run, until it has an end that is read. */
export const changesOfRun = ({ indexes }: Sources, id: string) =>
  changesOf(Effect.gen(function*() {
    const trace = yield* indexes.open(id)
    if (trace === undefined) return undefined
    const isComplete = yield* trace.refresh
    const { read, receipt } = trace.index.state()
    return isComplete && receipt.exit !== undefined ? undefined : `${read}`
  }))

/** The changes of the list of runs. */
export const changesOfRuns = ({ indexes }: Sources) =>
  changesOf(Effect.map(indexes.list, (runs) => {
    const last = runs.slice(-50)
    // The summary of a long trace is written after its lines.
    const sizes = last.flatMap(({ file }) => [
      Fs.statSync(file, { throwIfNoEntry: false })?.size,
      Fs.statSync(file.replace(/\.jsonl$/, ".json"), { throwIfNoEntry: false })?.mtimeMs
    ])
    return `${runs.length} ${last.at(-1)?.id} ${sizes.join()}`
  }))
