import { Identity, Key, LlmModel, type Sample, type SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** A store as the tests of the suite see it. */
export interface Subject {
  /** Builds it anew. */
  readonly open: Effect.Effect<SampleStore.Store, never, Scope.Scope>
  /** Another process, or another part of the program, that uses the same place. */
  readonly other: (store: SampleStore.Store) => Effect.Effect<SampleStore.Store, never, Scope.Scope>
  readonly test: Test
  /** A test for stores that outlive their layer. */
  readonly durably: Test
  readonly hasLeases: boolean
  readonly damage: ((key: Key.Key, position: number) => Effect.Effect<void>) | undefined
}

type Test = <A, E>(name: string, self: () => Effect.Effect<A, E, Scope.Scope>) => void

let keys = 0

/** A name that no other test uses, nor a run of the tests before, in a place that lasts. */
export const unique = () => `suite-${crypto.randomUUID()}-${keys++}`

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

export const put = (store: SampleStore.Store, key: Key.Key, ...samples: ReadonlyArray<readonly [number, string]>) =>
  store.put(key, nonEmpty(samples.map(([position, text]) => entry(position, text))), "drop")

export const textsOf = (store: SampleStore.Store, key: Key.Key) =>
  Effect.flatMap(
    store.positions(key),
    (positions) => Effect.forEach(positions, (position) => Effect.map(store.get(key, position), (drawn) => drawn?.text))
  )

export const listed = (store: SampleStore.Store, identity: Identity.Identity) =>
  store.keys.pipe(
    Stream.filterMap((element) => element),
    Stream.filter(({ key }) => key.identity.id === identity.id),
    Stream.runCollect
  )

/** A provider whose samples are all different, and that counts. */
export const provider = (name: string, prefix?: string) =>
  Effect.sync(() => {
    const bought: Array<string> = []
    let requests = 0
    return {
      bought: () => bought,
      requests: () => requests,
      make: LlmModel.make({
        model: name,
        generate: ({ n, prompt }) =>
          Effect.map(Effect.yieldNow, () => {
            requests++
            const samples = Array.from({ length: n }, (_, i) => `${prefix ?? prompt} #${bought.length + i}`)
            bought.push(...samples)
            return { samples }
          })
      })
    }
  }).pipe(Effect.flatMap(({ make, ...rest }) => Effect.map(make, (model) => ({ ...rest, model }))))
