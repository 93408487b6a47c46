import type { Key } from "@llm-cache/core/Key"
import type { Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { busyTimeout, nextTry, pause } from "./busy.ts"
import { isBusy } from "./errors.ts"

/** The positions of the entries of a put. */
export type Placed = ReadonlyArray<number | undefined>

export interface Put {
  readonly key: Key
  readonly entries: Arr.NonEmptyReadonlyArray<Entry>
  readonly ifTaken: "drop" | "append"
}

interface Waiting extends Put {
  readonly since: number
  readonly resume: (result: Effect.Effect<Placed, StoreError>) => void
}

/**
 * Puts of the same moment share a transaction, because a transaction costs more than a put. If it fails, each put runs in
 * a transaction of its own, so that a put that cannot be stored does not fail the others.
 */
export const makeGroupCommit = (options: {
  readonly commit: (puts: ReadonlyArray<Put>) => ReadonlyArray<Placed>
  readonly failed: (cause: unknown, put: Put) => Effect.Effect<never, StoreError>
}): { readonly put: Store["put"]; readonly end: Effect.Effect<void> } => {
  const { commit, failed } = options
  let waiting: Array<Waiting> = []

  // `undefined` for a put that waits for another process.
  const attempt = (puts: ReadonlyArray<Waiting>): ReadonlyArray<Effect.Effect<Placed, StoreError> | undefined> => {
    try {
      return commit(puts).map((placed) => Effect.succeed(placed))
    } catch (cause) {
      const now = performance.now()
      return puts.length === 1 || isBusy(cause)
        ? puts.map((put) => isBusy(cause) && now - put.since < busyTimeout ? undefined : failed(cause, put))
        : puts.flatMap((put) => attempt([put]))
    }
  }

  const flush = (): void => {
    const puts = waiting
    if (puts.length === 0) return
    waiting = []
    const results = attempt(puts)
    waiting = puts.filter((_, i) => results[i] === undefined)
    if (waiting.length > 0) void nextTry().then(flush)
    for (const [i, result] of results.entries()) if (result !== undefined) puts[i]!.resume(result)
  }

  return {
    put: (key, entries, ifTaken) =>
      Effect.callback((resume) => {
        // Answers that have arrived are read before an immediate runs, and so share a transaction.
        if (waiting.push({ key, entries, ifTaken, resume, since: performance.now() }) === 1) setImmediate(flush)
      }),
    end: Effect.suspend(() => {
      flush()
      return waiting.length === 0 ? Effect.void : Effect.repeat(pause, { until: () => waiting.length === 0 })
    })
  }
}
