import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Process } from "./processes.ts"

/** The moment of a kill: so many lines and milliseconds after the start, or after the first request. */
interface Moment {
  readonly isRequesting: boolean
  readonly lines: number
  readonly delay: number
}

/** A moment at random. */
export const makeMoment: Effect.Effect<Moment> = Effect.gen(function*() {
  return {
    isRequesting: yield* Random.nextBoolean,
    lines: yield* Random.nextIntBetween(1, 60),
    delay: yield* Random.nextBetween(0, 4)
  }
})

/** Kills a process at a moment. */
export const killAt = ({ kill, when }: Process, { delay, isRequesting, lines }: Moment) =>
  Effect.gen(function*() {
    yield* when((printed) => {
      const first = isRequesting ? printed.findIndex(({ _tag }) => _tag === "Asked") : 0
      return first >= 0 && printed.length > first + lines
    })
    yield* Effect.sleep(delay)
    yield* kill
  })
