import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as LogLevel from "effect/LogLevel"
import { type Event, Events, type RequestDone } from "../../Events.ts"
import type { Key } from "../../Key.ts"
import { failureType } from "./failureType.ts"
import { Listeners } from "./listeners.ts"

export type AnyFiber = Fiber.Fiber<unknown, unknown>

const eventsIn = (context: Context.Context<never>): Events["Service"] | undefined =>
  Context.getOrUndefined(context as Context.Context<Events>, Events)

const isDebug = (level: LogLevel.LogLevel): boolean => level === "Debug" || level === "Trace" || level === "All"

/** Whether anyone hears of the events of a fiber. */
// It runs at every draw, so it reads the context without defaults: the row `memory-effect` of the benchmark.
export const isObserved = ({ cache, context }: AnyFiber): boolean =>
  isDebug(cache.minimumLogLevel) ||
  Context.getOrUndefined(context, Listeners) !== undefined ||
  eventsIn(context)?.hasListeners() === true

/** Whether anyone sees the spans of a fiber: it has a tracer or runs in a span. */
export const isTraced = ({ cache }: AnyFiber): boolean => cache.tracer !== undefined || cache.span !== undefined

/** Hands an event to the listeners of a fiber and to its debug log. */
export const publishEvent = (fiber: AnyFiber, event: Event): Effect.Effect<void> =>
  Effect.suspend(() => {
    const log = isDebug(fiber.cache.minimumLogLevel)
      // A logger that throws must not lose a response.
      ? Effect.ignoreCause(Effect.logDebug(messageOf(event), annotations(event)))
      : Effect.void
    try {
      for (const listener of fiber.getRef(Listeners)) listener(event)
      eventsIn(fiber.context)?.publish(event)
    } catch (error) {
      return Effect.andThen(Effect.ignoreCause(Effect.logError("A listener of events failed", error)), log)
    }
    return log
  })

/** Publishes an event of the running fiber. Without observers it does not make the event. */
export const publishIfObserved = (event: () => Event): Effect.Effect<void> =>
  Effect.withFiber((fiber) => isObserved(fiber) ? publishEvent(fiber, event()) : Effect.void)

const messageOf = (event: Event): string => {
  switch (event._tag) {
    case "RequestSent":
      return `request for ${event.n}`
    case "RequestDone":
      return `request brought ${event.samples.length} in ${event.elapsed} ms${failedParts(event)}`
    case "RequestFailed":
      return `request failed after ${event.elapsed} ms: ${event.error?.message ?? failureType(event.cause)}`
    case "RequestRetried":
      return `request waits ${event.delay} ms for a retry: ${event.error.message}`
    case "Hit":
      return event.waited ? "hit, after a wait" : "hit"
    case "Miss":
      return `miss, asks ${event.asks}`
    case "Stored":
      return "stored"
    case "Raced":
      return "races with another draw of the same key and fork"
    case "Refused":
      return `refused: ${event.sample.metadata.finishReason}`
  }
}

const failedParts = ({ failures: [first, ...others] }: RequestDone): string =>
  first === undefined ? "" : `, ${others.length + 1} of its samples failed: ${first.message}`

const annotations = (event: Event): object => {
  const { identity, path, promptHash }: Key = event.key
  return {
    model: identity.name,
    prompt: promptHash,
    ...(path.length === 0 ? undefined : { fork: path }),
    position: event.position,
    ..."store" in event ? { store: event.store } : "request" in event ? { request: event.request } : undefined
  }
}
