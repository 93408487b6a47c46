import { Identity, Key, type Sample, type SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestModel from "../../TestModel.ts"

/** The store that the suite tests. */
export interface Subject {
  /** Builds the store anew. */
  readonly open: Effect.Effect<SampleStore.Store, never, Scope.Scope>
  /** A second store at the same place, like that of another process. */
  readonly other: (store: SampleStore.Store) => Effect.Effect<SampleStore.Store, never, Scope.Scope>
  readonly test: Test
  /** Defines a test for stores that outlive their layer. */
  readonly durably: Test
  readonly hasLeases: boolean
  readonly hasPeek: boolean
  readonly damage: ((key: Key.Key, position: number) => Effect.Effect<void>) | undefined
}

type Test = <A, E>(name: string, self: () => Effect.Effect<A, E, Scope.Scope>) => void

/** A name that no other test uses, and no earlier run in the same place. */
export const unique = () => `suite-${crypto.randomUUID()}`

export const makeKey = (
  options: { readonly prompt?: string; readonly path?: ReadonlyArray<string> } & Partial<Identity.Options> = {}
) =>
  Effect.map(
    Effect.orDie(Identity.make({ ...options, model: options.model ?? unique() })),
    (identity) => new Key.Key(identity, options.prompt ?? "a prompt", options.path ?? [])
  )

export const entry = (position: number, text: string): Sample.Entry => ({
  position,
  drawn: { text, metadata: {}, origins: [] }
})

export const nonEmpty = <A>(items: ReadonlyArray<A>) => items as readonly [A, ...Array<A>]

/** Puts texts at their positions. A taken position keeps its sample. */
export const putTexts = (
  store: SampleStore.Store,
  key: Key.Key,
  ...samples: ReadonlyArray<readonly [number, string]>
) => store.put(key, nonEmpty(samples.map(([position, text]) => entry(position, text))), "drop")

export const textsOf = (store: SampleStore.Store, key: Key.Key) =>
  Effect.flatMap(
    store.positions(key),
    (positions) => Effect.forEach(positions, (position) => Effect.map(store.get(key, position), (drawn) => drawn?.text))
  )

/** The keys of an identity, by a list of all keys. */
export const listed = (store: SampleStore.Store, identity: Identity.Identity) =>
  store.keys().pipe(
    Stream.filterMap((element) => element),
    Stream.filter(({ key }) => key.identity.id === identity.id),
    Stream.runCollect
  )

/** A provider with a different text for each sample, which yields to other fibers before it answers. */
export const provider = (model: string, prefix?: string) =>
  Effect.suspend(() => {
    let samples = 0
    return TestModel.make({
      model,
      temperature: undefined,
      script: ({ n, prompt }) =>
        Effect.map(Effect.yieldNow, () => Array.from({ length: n }, () => `${prefix ?? prompt} #${samples++}`))
    })
  })
