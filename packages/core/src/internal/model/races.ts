import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import type { Model } from "../../Model.ts"
import { type AnyFiber, isObserved, publishEvent } from "../events/observe.ts"
import { KeyMap } from "./keyMap.ts"

/** The fiber that draws are for, if it is not their own. */
const CurrentDrawer = Context.Reference<AnyFiber | undefined>("@llm-cache/core/CurrentDrawer", {
  defaultValue: () => undefined
})

/**
 * Runs an effect whose draws are for another fiber, in which races with other draws are looked for.
 *
 * **When to use**
 *
 * Use it in a fiber that draws for a program which does not wait for it all the time, as a stream does that shows parts of a
 * sample before the draw is done.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onBehalfOf = <A, E, R>(self: Effect.Effect<A, E, R>, fiber: AnyFiber): Effect.Effect<A, E, R> =>
  Effect.provideService(self, CurrentDrawer, fiber.getRef(CurrentDrawer) ?? fiber)

/** The draws of one key by one shared reader. */
interface Draws {
  inProgress: number
  last: { readonly fiber: WeakRef<AnyFiber>; readonly id: number; readonly newestFiber: number } | undefined
}

/**
 * Finds draws of one key by one shared reader that race. Scheduling decides their positions, so a replay may differ.
 *
 * Two draws race if they overlap, or if their fibers lived at the same time. There is no race if the later fiber started
 * after the earlier draw, or if the earlier fiber is younger and has ended: the older fiber may have waited for it.
 */
export class Races {
  readonly #draws = new KeyMap<Draws>()

  /** Runs a draw, and first `onRace` if it races with a draw before it. */
  watch<A, E, R>(
    key: Key,
    running: AnyFiber,
    draw: Effect.Effect<A, E, R>,
    onRace: Effect.Effect<void>
  ): Effect.Effect<A, E, R> {
    const fiber = running.getRef(CurrentDrawer) ?? running
    return Effect.uninterruptibleMask((interruptible) => {
      let draws = this.#draws.get(key)
      if (draws === undefined) this.#draws.set(key, draws = { inProgress: 0, last: undefined })
      const isRacing = draws.inProgress > 0 || livedAtOnce(draws.last, fiber)
      draws.inProgress++
      return Effect.ensuring(
        interruptible(isRacing ? Effect.andThen(onRace, draw) : draw),
        Effect.sync(() => {
          draws.inProgress--
          // Fibers have ascending numbers, so this one is younger than all that exist.
          draws.last = { fiber: new WeakRef(fiber), id: fiber.id, newestFiber: Effect.runFork(Effect.void).id }
        })
      )
    })
  }
}

const livedAtOnce = (last: Draws["last"], fiber: AnyFiber): boolean => {
  if (last === undefined || last.id === fiber.id || fiber.id > last.newestFiber) return false
  const earlier = last.fiber.deref()
  return fiber.id > last.id || (earlier !== undefined && earlier.pollUnsafe() === undefined)
}

/** The draw of a shared reader, which publishes its races if anyone listens. */
export const tellingOfRaces = (draw: Model["draw"], positionOf: (key: Key) => number): Model["draw"] => {
  const races = new Races()
  return (key, position, batch, options) =>
    Effect.withFiber((fiber) => {
      const drawn = draw(key, position, batch, options)
      if (!isObserved(fiber)) return drawn
      const told = Effect.suspend(() => publishEvent(fiber, { _tag: "Raced", key, position: positionOf(key) }))
      return races.watch(key, fiber, drawn, told)
    })
}
