import type { Key } from "@llm-cache/core/Key"
import type { Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { isBusy } from "./errors.ts"

/** The positions of the entries of a put. */
export type Placed = ReadonlyArray<number | undefined>

export interface Put {
  readonly key: Key
  readonly entries: Arr.NonEmptyReadonlyArray<Entry>
  readonly ifTaken: "drop" | "append"
}

interface Waiting extends Put {
  readonly resume: (result: Effect.Effect<Placed, StoreError>) => void
}

/**
 * Puts of the same moment share a transaction, because a transaction costs more than a put. If it fails, each put runs in
 * a transaction of its own, so that a put that cannot be stored does not fail the others.
 */
export const makeGroupCommit = (
  commit: (puts: ReadonlyArray<Put>) => ReadonlyArray<Placed>,
  failed: (cause: unknown, put: Put) => Effect.Effect<never, StoreError>
): { readonly put: Store["put"]; readonly flush: () => void } => {
  let waiting: Array<Waiting> = []

  const attempt = (puts: ReadonlyArray<Put>): ReadonlyArray<Effect.Effect<Placed, StoreError>> => {
    try {
      return commit(puts).map((placed) => Effect.succeed(placed))
    } catch (cause) {
      return puts.length === 1 || isBusy(cause)
        ? puts.map((put) => failed(cause, put))
        : puts.flatMap((put) => attempt([put]))
    }
  }

  const flush = (): void => {
    const puts = waiting
    if (puts.length === 0) return
    waiting = []
    for (const [i, result] of attempt(puts).entries()) puts[i]!.resume(result)
  }

  return {
    put: (key, entries, ifTaken) =>
      Effect.callback((resume) => {
        // All runnable fibers run before the microtask does.
        if (waiting.push({ key, entries, ifTaken, resume }) === 1) queueMicrotask(flush)
      }),
    flush
  }
}
