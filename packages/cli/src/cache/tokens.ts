import type { Identity } from "@llm-cache/core/Identity"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { ListedIdentity, Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Output } from "../output/Output.ts"
import { samplesAt } from "./samples.ts"

/** The most prompts whose samples are read for their tokens, unless it is asked for: about a second. */
const mostRead = 10_000

/** Adds the tokens of an identity where its store does not count them. */
export const withTokens = (
  store: Store,
  listed: ListedIdentity,
  hasMany: boolean
): Effect.Effect<ListedIdentity, StoreError, Output> =>
  listed.inputTokens !== undefined || (listed.prompts > mostRead && !hasMany)
    ? Effect.succeed(listed)
    : Effect.map(
      readTokens(store, listed.identity),
      ({ last = listed.last, ...tokens }) => ({ ...listed, ...tokens, last })
    )

interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
  /** The time of the newest answer, in milliseconds since the epoch. */
  readonly last: number | undefined
}

const readTokens = (store: Store, identity: Identity): Effect.Effect<Tokens, StoreError, Output> =>
  Effect.gen(function*() {
    let inputTokens = 0
    let outputTokens = 0
    let last: number | undefined
    yield* Stream.runForEach(store.keys({ identity }), (element) => {
      // The listing of the identities has told of it.
      if (Result.isFailure(element)) return Effect.void
      const { key } = element.success
      const requests = new Set<string>()
      return Effect.flatMap(
        store.positions(key),
        (positions) =>
          Stream.runForEach(samplesAt(store, key, positions), ({ drawn: { metadata } }) =>
            Effect.sync(() => {
              last = Math.max(last ?? -Infinity, metadata.createdAt ?? -Infinity)
              // The tokens of a request stand at each of its samples.
              if (metadata.request !== undefined && requests.size === requests.add(metadata.request).size) return
              inputTokens += metadata.inputTokens ?? 0
              outputTokens += metadata.outputTokens ?? 0
            }))
      )
    })
    return { inputTokens, outputTokens, last: last === -Infinity ? undefined : last }
  })
