import * as Effect from "effect/Effect"
import * as Timers from "node:timers/promises"

/** How long an operation waits for another process to release the file, in milliseconds. */
export const busyTimeout = 5000

/** The next try. By the system's clock, because another process does not follow the clock of a test. */
export const nextTry = (): Promise<void> => Timers.setTimeout(5)

/** Waits for the next try. */
export const pause: Effect.Effect<void> = Effect.promise(nextTry)
