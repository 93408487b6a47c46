// Keys and samples for the tests of stores.
import { Identity, Key, type Sample, type SampleStore } from "@llm-cache/core"
import { Effect } from "effect"

export const makeKey = (prompt = "a prompt", path: ReadonlyArray<string> = []) =>
  Effect.map(Effect.orDie(Identity.make({ model: "mock" })), (identity) => new Key.Key(identity, prompt, path))

export const entry = (position: number, text: string, id?: string): Sample.Entry => ({
  position,
  drawn: { text, metadata: {}, origins: [] },
  ...(id === undefined ? {} : { id })
})

export const put = (store: SampleStore.Store, key: Key.Key, ...entries: ReadonlyArray<Sample.Entry>) =>
  store.put(key, entries as [Sample.Entry], "append")

export const textsOf = (store: SampleStore.Store, key: Key.Key) =>
  Effect.flatMap(
    store.positions(key),
    (positions) => Effect.forEach(positions, (position) => Effect.map(store.get(key, position), (drawn) => drawn?.text))
  )
