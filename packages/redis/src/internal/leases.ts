import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Leases } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import type * as Redis from "effect/persistence/Redis"
import * as Scripts from "./scripts.ts"

/** Runs commands as an operation on a key. */
type Run = <A>(
  operation: StoreError["operation"],
  effect: Effect.Effect<A, Redis.RedisError>,
  key: Key,
  position: number
) => Effect.Effect<A, StoreError>

export const makeLeases = (
  redis: Redis.Redis["Service"],
  run: Run,
  namesOf: (key: Key, positions: ReadonlyArray<number>) => ReadonlyArray<string>
): Leases => {
  const acquire = redis.eval(Scripts.acquire)
  const release = redis.eval(Scripts.release)
  return {
    acquire: (key, positions, holder, expiry) =>
      Effect.map(
        run("lease", acquire(namesOf(key, positions), holder, Math.ceil(expiry)), key, positions[0]),
        (isOurs) => isOurs === 1
      ),
    release: (key, positions, holder) =>
      Effect.asVoid(run("lease", release(namesOf(key, positions), holder), key, positions[0]))
  }
}
