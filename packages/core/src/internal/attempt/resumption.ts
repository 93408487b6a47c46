import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { longestRetryAfter } from "../../Retry.ts"
import { retryAfterOf, textOf } from "./errors.ts"

/** When an attempt goes on after a failure of the provider: as the schedule says, and not before the provider allows it. */
export const resumption = <E, E2, R2>(
  schedule: Schedule.Schedule<unknown, E, E2, R2>,
  attempt: number
): Schedule.Schedule<unknown, E, E2, R2> =>
  schedule.pipe(
    Schedule.while(({ input }) => Duration.isLessThanOrEqualTo(waitFor(input), longestRetryAfter)),
    Schedule.modifyDelay(({ duration, input }) => Effect.succeed(Duration.max(duration, waitFor(input)))),
    Schedule.tap(({ duration, input }) =>
      Effect.logWarning(
        `The provider failed. Attempt ${attempt} resumes ${
          Duration.isZero(duration) ? "at once" : `in ${Duration.format(duration)}`
        }: ${textOf(input)}`
      )
    )
  )

const waitFor = (error: unknown): Duration.Duration => retryAfterOf(error) ?? Duration.zero
