import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import { type Event, Events } from "../Events.ts"
import type { Key } from "../Key.ts"
import { failureType } from "./failureType.ts"
import { Listeners } from "./listeners.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

const eventsOf = (fiber: AnyFiber): Events["Service"] | undefined =>
  Context.getOrUndefined(fiber.context as Context.Context<Events>, Events)

const logsDebug = (fiber: AnyFiber): boolean => LogLevel.isLessThanOrEqualTo(fiber.cache.minimumLogLevel, "Debug")

// What was found last: it depends on the context alone, and one is asked for many draws.
let last: {
  readonly context: Context.Context<never>
  readonly events: Events["Service"] | undefined
  readonly isAlways: boolean
} | undefined

/** Whether anyone wants to know what happens in a fiber. It is asked at every draw. */
export const isObserved = (fiber: AnyFiber): boolean => {
  if (last?.context !== fiber.context) {
    last = {
      context: fiber.context,
      events: eventsOf(fiber),
      isAlways: logsDebug(fiber) || fiber.getRef(Listeners).length > 0
    }
  }
  return last.isAlways || (last.events !== undefined && last.events.hasListeners())
}

/** Whether a span of a fiber would be seen: a tracer is provided, or there is a span around. */
export const isTraced = ({ cache }: AnyFiber): boolean => cache.tracer !== undefined || cache.span !== undefined

/** Tells what happens in a fiber. */
export const tell = (fiber: AnyFiber, event: Event): Effect.Effect<void> =>
  Effect.suspend(() => {
    const log = logsDebug(fiber) ? Effect.logDebug(inWords(event), annotations(event)) : Effect.void
    try {
      for (const listener of fiber.getRef(Listeners)) listener(event)
      eventsOf(fiber)?.publish(event)
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
