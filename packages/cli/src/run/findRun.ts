import type { StoreError } from "@llm-cache/core/SampleError"
import * as Trace from "@llm-cache/core/Trace"
import * as Argument from "effect/cli/Argument"
import * as Effect from "effect/Effect"
import { UsageError } from "../errors.ts"

/** A run as an argument. Give it to `findRun`. */
export const runArgument = Argument.String("run").pipe(
  Argument.withDescription(
    "A run: its name (the last run of it), the start of its file's name, or `last`. See llm-cache runs"
  )
)

/** The run that an argument names, among those of a cache. */
export const findRun = (cache: string, name: string): Effect.Effect<Trace.Run, StoreError | UsageError> =>
  Effect.flatMap(Trace.list(Trace.directoryOf(cache)), (runs) => {
    const exact = runs.findLast(({ id }) => id === name)
    const named = name === "last" ? runs.at(-1) : exact ?? runs.findLast(({ id }) => nameOf(id) === name)
    if (named !== undefined) return Effect.succeed(named)
    const started = runs.filter(({ id }) => id.startsWith(name))
    if (started.length === 1) return Effect.succeed(started[0]!)
    return new UsageError({
      message: started.length > 1
        ? `${started.length} runs start with ${name}: give more of the name, such as ${started[0]!.id}`
        : runs.length === 0
        ? `no run of ${cache} has a trace: set LLM_CACHE_TRACE=1, or add Trace.layer to the program`
        : `no run of ${cache} is named ${name}: see llm-cache runs --cache ${cache}`
    })
  })

/** The name of a run, without the time before it. */
export const nameOf = (id: string): string => id.replace(timeOfRun, "")

/** The time at which a run started, in ISO 8601; `null` if its file has another name. */
export const startOf = (id: string): string | null => {
  const [, day, hour, minute, second, milli] = timeOfRun.exec(id) ?? []
  return day === undefined ? null : `${day}T${hour}:${minute}:${second}.${milli}Z`
}

const timeOfRun = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z?-/
