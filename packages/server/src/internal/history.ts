import type { StoreError } from "@llm-cache/core/SampleError"
import * as Trace from "@llm-cache/core/Trace"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** The positions that a run has handed out, by key and place, in the order of its draws. */
export type History = Map<string, Map<string, Array<number>>>

export const keyName = (
  { identity, path, promptHash }: Trace.TracedKey
): string => JSON.stringify([identity.id, promptHash, path])

/** The content of a run's traces. */
export interface Traced {
  /** The draws in earlier servers, since the last trace with an end. */
  readonly history: History
  /** The process of a server that goes on with the run. */
  readonly runningIn: number | undefined
}

/** Reads the traces that may be those of a run. */
export const historyOf = Effect.fnUntraced(function*(
  files: ReadonlyArray<Trace.Run>,
  name: string
): Effect.fn.Return<Traced, StoreError> {
  const traces: Array<ReadonlyArray<Trace.Entry>> = []
  let runningIn: number | undefined
  for (const { file } of files.toReversed()) {
    const entries: Array<Trace.Entry> = []
    let run: Extract<Trace.Entry, { readonly type: "run" }> | undefined
    let last: Trace.Entry["type"] | undefined
    yield* Stream.runForEachWhile(Trace.read(file), (entry) =>
      Effect.sync(() => {
        if (entry.type === "run") run = entry.name === name ? entry : undefined
        else if (entry.type === "given" || entry.type === "returned") entries.push(entry)
        last = entry.type
        return run !== undefined
      }))
    if (run === undefined) continue
    if (last === "end") break
    if (last !== "pause" && Trace.isRunning(run)) runningIn = run.pid
    traces.unshift(entries)
  }
  const history: History = new Map()
  for (const entry of traces.flat()) add(history, entry)
  return { history, runningIn }
})

const add = (history: History, entry: Trace.Entry): void => {
  if ((entry.type !== "given" && entry.type !== "returned") || entry.place === undefined) return
  const { key, place, positions, type } = entry
  const places = history.get(keyName(key)) ?? new Map<string, Array<number>>()
  history.set(keyName(key), places)
  const before = places.get(place) ?? []
  // An attempt gives its draws from the first one on. A reader gives each position once.
  if (place !== "/independent") places.set(place, before.length > positions.length ? before : [...positions])
  else if (type === "given") places.set(place, [...before, ...positions])
  else places.set(place, before.filter((position) => !positions.includes(position)))
}
