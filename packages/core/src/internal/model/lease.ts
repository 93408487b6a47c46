import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Key } from "../../Key.ts"
import type { StoreError } from "../../SampleError.ts"
import type { Leases } from "../../SampleStore.ts"

/** The first and the longest wait before a lease is tried again, in milliseconds. */
const patience = { first: 10, most: 500 }

/** The time before the next try. */
export const longer = (wait: number | undefined): number =>
  wait === undefined ? patience.first : Math.min(wait * 1.5, patience.most)

/**
 * Runs an effect with the lease of the positions, or returns `undefined` if another holder has one of them. The lease is
 * renewed as long as the effect runs. If it can no longer be renewed or freed, it expires.
 */
export type WithLease = <A, E>(
  key: Key,
  positions: Arr.NonEmptyReadonlyArray<number>,
  use: Effect.Effect<A, E>
) => Effect.Effect<A | undefined, E | StoreError>

/** Leases of one holder, which expire `expiry` milliseconds after they were last renewed. */
export const makeWithLease = (leases: Leases, expiry: number): WithLease => {
  const holder = crypto.randomUUID()
  return (key, positions, use) => {
    const acquire = leases.acquire(key, positions, holder, expiry)
    const renew = Effect.forever(Effect.andThen(Effect.sleep(expiry / 3), Effect.ignore(acquire)))
    return Effect.flatMap(Effect.interruptible(acquire), (isOurs) =>
      isOurs
        ? Effect.flatMap(Effect.forkChild(renew), (renewing) =>
          Effect.onExit(use, () =>
            Effect.andThen(
              Fiber.interrupt(renewing),
              Effect.ignoreCause(Effect.suspend(() => leases.release(key, positions, holder)))
            )))
        : Effect.undefined)
  }
}
