import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Leases } from "@llm-cache/core/SampleStore"
import type * as Effect from "effect/Effect"
import type { Connections } from "./connection.ts"

/** Runs a function of the connections as an operation on a key. */
type Run = <A>(evaluate: () => A, key: Key, position: number) => Effect.Effect<A, StoreError>

// A lease that a power failure ends is no loss.
const isForced = false

export const makeLeases = (connections: Connections, run: Run, digestOf: (key: Key) => Buffer): Leases => ({
  acquire: (key, positions, holder, expiry) =>
    run(
      () =>
        connections.transact(({ expireLeases, leaseOfAnother, putLease }) => {
          expireLeases.run()
          const digest = digestOf(key)
          if (positions.some((position) => leaseOfAnother.get(digest, position, holder) !== undefined)) return false
          for (const position of positions) putLease.run(digest, position, holder, expiry)
          return true
        }, isForced),
      key,
      positions[0]
    ),
  release: (key, positions, holder) =>
    run(
      () =>
        connections.change(({ removeLease }) => {
          for (const position of positions) removeLease.run(digestOf(key), position, holder)
        }, isForced),
      key,
      positions[0]
    )
})
