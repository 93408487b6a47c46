import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import type { Drawn } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Listed, Store } from "@llm-cache/core/SampleStore"
import type { TracedKey } from "@llm-cache/core/Trace"
import type { TraceIndex } from "@llm-cache/core/TraceIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { gist } from "./chat.ts"
import { count } from "./format.ts"
import { excerpt } from "./visible.ts"

/** The most starts of prompts that are kept. */
const mostKept = 2000

/** The most keys that a search reads. */
const mostSearched = 20_000

/** How long a page looks up the starts of its prompts, in milliseconds. */
const patience = 200

/** Texts of prompts and samples, as the cache has them. */
export interface Texts {
  /**
   * The starts of prompts, by `identity.id` and hash. Prompts that take too long, or are nowhere, are left out, and all that a
   * broken cache does not give: `problem` says why.
   */
  readonly excerpts: (
    keys: ReadonlyArray<TracedKey>,
    index?: TraceIndex
  ) => Effect.Effect<{
    readonly excerptOf: (key: TracedKey) => string | undefined
    readonly problem: string | undefined
  }>
  /** The keys of a prompt: of all its identities and forks. `damaged` says which of them cannot be read. */
  readonly keysOf: (
    promptHash: string,
    identity?: Identity
  ) => Effect.Effect<{ readonly keys: ReadonlyArray<Listed>; readonly damaged: ReadonlyArray<string> }, StoreError>
  /** The hashes of the prompts that contain a text. `problem` says if some keys were not read. */
  readonly search: (
    text: string,
    identity?: Identity
  ) => Effect.Effect<
    { readonly hashes: ReadonlyArray<string>; readonly problem: string | undefined },
    StoreError
  >
  /** The samples at positions from one on, without damaged ones. `end` is behind the last position of all. */
  readonly samples: (
    key: Key,
    from: number,
    count: number
  ) => Effect.Effect<
    {
      readonly samples: ReadonlyMap<number, Drawn>
      readonly damaged: ReadonlyArray<string>
      readonly end: number
    },
    StoreError
  >
}

export const makeTexts = (store: Store): Texts => {
  const kept = new Map<string, string>()
  const nameOf = ({ identity, promptHash }: TracedKey) => `${promptHash} ${identity.id}`

  const keysOf: Texts["keysOf"] = (promptHash, identity) =>
    Effect.map(Stream.runCollect(store.keys({ promptHash, identity })), (found) => ({
      keys: found.filter(Result.isSuccess).map(({ success }) => success),
      damaged: found.filter(Result.isFailure).map(({ failure }) => failure.message)
    }))

  const promptOf = Effect.fnUntraced(function*(key: TracedKey, index: TraceIndex | undefined) {
    const { identity, promptHash } = key
    const found = yield* Stream.runHead(Stream.filter(store.keys({ promptHash, identity }), Result.isSuccess))
    if (Option.isSome(found)) return found.value.success.key.prompt
    return index && (yield* index.promptText(key))
  })

  return {
    keysOf,
    excerpts: Effect.fnUntraced(function*(keys, index) {
      const end = (yield* Clock.currentTimeMillis) + patience
      let problem: string | undefined
      for (const key of keys) {
        const name = nameOf(key)
        if (kept.has(name)) continue
        if ((yield* Clock.currentTimeMillis) >= end) break
        const found = yield* Effect.result(promptOf(key, index))
        if (Result.isFailure(found)) {
          problem = found.failure.message
          break
        }
        const prompt = found.success
        if (prompt === undefined) continue
        kept.set(name, excerpt(gist(prompt)))
        if (kept.size > mostKept) kept.delete(kept.keys().next().value!)
      }
      return { excerptOf: (key: TracedKey) => kept.get(nameOf(key)), problem }
    }),
    search: Effect.fnUntraced(function*(text, identity) {
      const wanted = text.toLowerCase()
      const hashes = new Set<string>()
      let read = 0
      yield* Stream.runForEach(
        Stream.take(store.keys({ identity }), mostSearched),
        (element) =>
          Effect.sync(() => {
            read++
            if (Result.isFailure(element)) return
            const { key } = element.success
            if (key.prompt.toLowerCase().includes(wanted)) hashes.add(key.promptHash)
          })
      )
      return {
        hashes: [...hashes],
        problem: read < mostSearched
          ? undefined
          : `The search read the first ${
            count(mostSearched)
          } keys of the cache: choose a model, or give the start of a hash.`
      }
    }),
    samples: Effect.fnUntraced(function*(key, from, count) {
      const samples = new Map<number, Drawn>()
      const damaged: Array<string> = []
      const all = yield* store.positions(key)
      const positions = all.filter((position) => position >= from && position < from + count)
      for (let i = 0; i < positions.length;) {
        const first = positions[i]!
        let length = 1
        while (positions[i + length] === first + length) length++
        const found = yield* Effect.catchIf(
          store.getMany(key, first, length),
          ({ kind }) => kind === "Damaged",
          (error) => Effect.sync((): ReadonlyArray<Drawn> => (damaged.push(error.message), []))
        )
        found.forEach((drawn, j) => samples.set(first + j, drawn))
        i += Math.max(found.length, 1)
      }
      return { samples, damaged, end: (all.at(-1) ?? -1) + 1 }
    })
  }
}
