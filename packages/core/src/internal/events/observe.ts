import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { type Event, Events } from "../../Events.ts"
import type { Key } from "../../Key.ts"
import { ofLast } from "../memoizeLast.ts"
import { failureType } from "./failureType.ts"
import { Listeners } from "./listeners.ts"

export type AnyFiber = Fiber.Fiber<unknown, unknown>

const eventsIn = (context: Context.Context<never>): Events["Service"] | undefined =>
  Context.getOrUndefined(context as Context.Context<Events>, Events)

const isDebug = (level: LogLevel.LogLevel): boolean => LogLevel.isLessThanOrEqualTo(level, "Debug")

// It is asked at every draw, and depends on the context alone.
const observersIn = ofLast((context: Context.Context<never>) => ({
  events: eventsIn(context),
  isAlways: isDebug(Context.get(context, References.MinimumLogLevel)) || Context.get(context, Listeners).length > 0
}))

/** Whether anyone wants to know what happens in a fiber. */
export const isObserved = (fiber: AnyFiber): boolean => {
  const { events, isAlways } = observersIn(fiber.context)
  return isAlways || (events !== undefined && events.hasListeners())
}

/** Whether a span of a fiber would be seen: a tracer is provided, or there is a span around. */
export const isTraced = ({ cache }: AnyFiber): boolean => cache.tracer !== undefined || cache.span !== undefined

/** Tells what happens in a fiber. */
export const tell = (fiber: AnyFiber, event: Event): Effect.Effect<void> =>
  Effect.suspend(() => {
    const log = isDebug(fiber.cache.minimumLogLevel) ? Effect.logDebug(inWords(event), annotations(event)) : Effect.void
    try {
      for (const listener of fiber.getRef(Listeners)) listener(event)
      eventsIn(fiber.context)?.publish(event)
    } catch (error) {
      return Effect.andThen(Effect.logError("A listener of events failed", error), log)
    }
    return log
  })

/** Tells what happens in the fiber that runs the effect, where anyone wants to know. */
export const telling = (event: () => Event): Effect.Effect<void> =>
  Effect.withFiber((fiber) => isObserved(fiber) ? tell(fiber, event()) : Effect.void)

const inWords = (event: Event): string => {
  switch (event._tag) {
    case "RequestSent":
      return `request for ${event.n}`
    case "RequestDone":
      return `request brought ${event.samples.length} in ${event.elapsed} ms`
    case "RequestFailed":
      return `request failed after ${event.elapsed} ms: ${event.error?.message ?? failureType(event.cause)}`
    case "Hit":
      return event.waited ? "hit, after a wait" : "hit"
    case "Miss":
      return `miss, asks ${event.asks}`
    case "Stored":
      return "stored"
    case "Refused":
      return `refused: ${event.sample.metadata.finishReason}`
  }
}

const annotations = (event: Event): object => {
  const { identity, path, promptHash }: Key = event.key
  return {
    model: identity.name,
    prompt: promptHash,
    ...(path.length === 0 ? undefined : { fork: path }),
    position: event.position,
    ..."store" in event ? { store: event.store } : { request: event.request }
  }
}
