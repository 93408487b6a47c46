import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/**
 * Interrupts what takes longer, and fails when it has ended. As `Effect.timeoutOrElse`, for less than half of what that
 * takes: every request pays for it, and hardly one needs it.
 */
export const inTime = <A, E>(
  self: Effect.Effect<A, E>,
  duration: Duration.Duration,
  late: () => E
): Effect.Effect<A, E> =>
  Effect.withFiber(({ context }) =>
    Effect.callback<A, E>((resume) => {
      const fork = Effect.runForkWith(context)
      const fiber = fork(self)
      const alarm = fork(Effect.sleep(duration))
      alarm.addObserver((exit) => {
        if (Exit.isSuccess(exit)) resume(Effect.andThen(Fiber.interrupt(fiber), Effect.fail(late())))
      })
      fiber.addObserver((exit) => {
        alarm.interruptUnsafe()
        resume(exit)
      })
      return Fiber.interrupt(fiber)
    })
  )
