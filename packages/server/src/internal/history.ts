import type { StoreError } from "@llm-cache/core/SampleError"
import * as Trace from "@llm-cache/core/Trace"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** The positions that a run has handed out, by key and place, in the order of its draws. */
export type History = Map<string, Map<string, Array<number>>>

export const keyName = (
  { identity, path, promptHash }: Trace.TracedKey
): string => JSON.stringify([identity.id, promptHash, path])

/** The draws of a run in earlier servers, from its traces since the last one with an end. */
export const historyOf = Effect.fnUntraced(function*(
  directory: string | undefined,
  name: string
): Effect.fn.Return<History, StoreError> {
  const traces: Array<ReadonlyArray<Trace.Entry>> = []
  for (const { file } of (yield* Trace.list(directory, name)).toReversed()) {
    const entries: Array<Trace.Entry> = []
    let isOfRun = false
    let hasEnded = false
    yield* Stream.runForEachWhile(Trace.read(file), (entry) =>
      Effect.sync(() => {
        if (entry.type === "run") isOfRun = entry.name === name
        else if (entry.type === "given" || entry.type === "returned") entries.push(entry)
        else if (entry.type === "end") hasEnded = true
        return isOfRun
      }))
    if (!isOfRun) continue
    if (hasEnded) break
    traces.unshift(entries)
  }
  const history: History = new Map()
  for (const entry of traces.flat()) add(history, entry)
  return history
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
