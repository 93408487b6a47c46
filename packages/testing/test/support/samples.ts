// Keys, samples and a provider for the tests of stores.
import { Identity, Key, LlmModel, type Sample, type SampleStore } from "@llm-cache/core"
import { Effect, Layer, Result, Stream } from "effect"
import { TestModel } from "../../src/index.ts"

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

/** The prompts of the keys of an identity, in the store's order. */
export const promptsOf = (store: SampleStore.Store, identity: Identity.Identity) =>
  store.keys({ identity }).pipe(
    Stream.map((element) => Result.getOrThrow(element).key.prompt),
    Stream.runCollect
  )

/** A provider of the identity of `makeKey`. Its samples are the number of their request, and their index. */
export const makeProvider = Effect.map(
  TestModel.make({
    model: "mock",
    temperature: undefined,
    script: ({ n }, request) => Array.from({ length: n }, (_, i) => `${request} ${i}`)
  }),
  ({ model, requests }) => ({ layer: Layer.succeed(LlmModel.LlmModel, model), requests: () => requests.length })
)
