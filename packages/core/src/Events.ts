/**
 * Events of sampling: requests and their answers, hits and misses of caches, stored samples.
 *
 * **When to use**
 *
 * Use to log, count or show the work of a program. `Usage`, `Progress` and `Metrics` build on it. Without listeners no
 * events are created.
 *
 * **Details**
 *
 * A program publishes its events to the `Events` that are provided to it, wherever its models were built. Each sample from
 * a cache was one hit or one miss. If a cache beneath has the sample, it is a hit there and a miss of the caches above.
 *
 * At the log level `Debug`, each event is also a log message, with or without this layer.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Key } from "./Key.ts"
import type { Sample } from "./Sample.ts"
import type { ProviderErrorReason, SampleError } from "./SampleError.ts"

/**
 * The fields of every event.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  /** The model, the prompt and the fork. */
  readonly key: Key
  /** The position in the sequence of the publishing model. For a request it is the position of its draw. */
  readonly position: number
}

/**
 * A model sends a request to its provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestSent extends Fields {
  readonly _tag: "RequestSent"
  /** The name of the request. The metadata of its samples have the same name. */
  readonly request: string
  /** The provider's name, if the model has one. */
  readonly provider: string | undefined
  /** The model, as its provider calls it. A key with an alias has another name. */
  readonly model: string
  /** The number of samples in the request. */
  readonly n: number
}

/**
 * A request brought samples.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestDone extends Fields {
  readonly _tag: "RequestDone"
  readonly request: string
  readonly provider: string | undefined
  readonly model: string
  /** The samples of the answer, one or more. */
  readonly samples: ReadonlyArray<Sample>
  /** The parts of the answer that are malformed, or that the provider marks as failed. The next draws ask for them again. */
  readonly failures: ReadonlyArray<ProviderErrorReason>
  /** The duration in milliseconds, with retries and with waits for the `Limits` of the provider. */
  readonly elapsed: number
}

/**
 * A request brought no sample.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestFailed extends Fields {
  readonly _tag: "RequestFailed"
  readonly request: string
  readonly provider: string | undefined
  readonly model: string
  /** The error; `undefined` after an interruption or a defect. */
  readonly error: SampleError | undefined
  /** The full cause: an error, a defect or an interruption. */
  readonly cause: Cause.Cause<SampleError>
  /** The duration in milliseconds, with retries and with waits for the `Limits` of the provider. */
  readonly elapsed: number
}

/**
 * A request failed, and a model waits before it sends the request again.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestRetried extends Fields {
  readonly _tag: "RequestRetried"
  readonly request: string
  readonly provider: string | undefined
  readonly model: string
  /** The failure. */
  readonly error: SampleError
  /** The wait in milliseconds. */
  readonly delay: number
}

/**
 * A cache has the sample of a draw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hit extends Fields {
  readonly _tag: "Hit"
  /** The id of the cache's store, or `Repeatable` for the samples of a `Repeatable`. */
  readonly store: string
  /** The same object for all events of one cache: it tells a `Repeatable` from another. */
  readonly cache?: object | undefined
  /** The reader of the `Independent` right above the cache, which has one object of its own for all its draws. */
  readonly reader?: object | undefined
  readonly sample: Sample
  /** Whether the draw waited for another draw's request, in this process or, with a lease, in another process. */
  readonly waited: boolean
}

/**
 * A cache does not have the sample of a draw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Miss extends Fields {
  readonly _tag: "Miss"
  /** The id of the cache's store, or `Repeatable` for the samples of a `Repeatable`. */
  readonly store: string
  /** The same object for all events of one cache: it tells a `Repeatable` from another. */
  readonly cache?: object | undefined
  /** The reader of the `Independent` right above the cache, which has one object of its own for all its draws. */
  readonly reader?: object | undefined
  /** The next source of the sample: another cache, a provider or, in replication, nothing. */
  readonly asks: "cache" | "provider" | "nothing"
}

/**
 * A cache has stored a sample from the model beneath it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored extends Fields {
  readonly _tag: "Stored"
  /** The id of the cache's store, or `Repeatable` for the samples of a `Repeatable`. */
  readonly store: string
  /** The same object for all events of one cache: it tells a `Repeatable` from another. */
  readonly cache?: object | undefined
  readonly sample: Sample
}

/**
 * A cache has a sample but does not hand it out, because `excludeFinishReasons` has its finish reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refused extends Fields {
  readonly _tag: "Refused"
  /** The id of the cache's store, or `Repeatable` for the samples of a `Repeatable`. */
  readonly store: string
  readonly sample: Sample
}

/**
 * A draw of an `Independent` races with another draw of the same key: they overlap, or their fibers lived at the same time.
 * Scheduling decides which of them gets which sample, so a replay may differ. A fork for each fiber prevents it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Raced extends Fields {
  readonly _tag: "Raced"
}

/**
 * Any event.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = RequestSent | RequestDone | RequestFailed | RequestRetried | Hit | Miss | Stored | Refused | Raced

/**
 * A function that runs at each event, at once, in the fiber of the event. An exception is logged and changes nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export type Listener = (event: Event) => void

/**
 * The service that passes events to listeners.
 *
 * @category services
 * @since 0.1.0
 */
export class Events extends Context.Service<Events, {
  /** Adds a listener until the scope closes. */
  readonly listen: (listener: Listener) => Effect.Effect<void, never, Scope.Scope>
  /** Whether this service or an outer one has listeners. Without listeners, models may skip `publish`. */
  readonly hasListeners: () => boolean
  /** Runs all listeners, then throws the first exception of a listener, if any. */
  readonly publish: Listener
}>()("@llm-cache/core/Events") {}

/**
 * Makes an `Events` service. It also publishes its events to the outer `Events`, if there is one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Events["Service"]> = Effect.contextWith((context: Context.Context<never>) => {
  const outer = Context.getOrUndefined(context as Context.Context<Events>, Events)
  const listeners = new Set<Listener>()
  return Effect.succeed({
    listen: (listener) => {
      // A new function, so that a listener that is added twice runs twice.
      const own: Listener = (event) => listener(event)
      return Effect.uninterruptible(Effect.flatMap(Effect.scope, (scope) => {
        listeners.add(own)
        return Scope.addFinalizer(scope, Effect.sync(() => listeners.delete(own)))
      }))
    },
    hasListeners: () => listeners.size > 0 || (outer !== undefined && outer.hasListeners()),
    publish: (event) => {
      const thrown: Array<unknown> = []
      for (const listener of [...listeners, ...outer === undefined ? [] : [outer.publish]]) {
        try {
          listener(event)
        } catch (error) {
          thrown.push(error)
        }
      }
      if (thrown.length > 0) throw thrown[0]
    }
  })
})

/**
 * Provides `Events` to a program.
 *
 * **Gotchas**
 *
 * Effect shares a layer by reference: inside a program with this layer, a second one is the same `Events`, and its
 * listeners hear the whole program. To listen to a part, use `Layer.fresh`.
 *
 * **Example** (Print the requests of a program)
 *
 * ```ts
 * import { Events, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   yield* Events.listen((event) => {
 *     if (event._tag === "RequestSent") console.log(event.n, event.key.prompt, event.position)
 *   })
 *   return yield* LlmModel.sampleMany("Choose a number between 1 and 1000.", 5)
 * }).pipe(Effect.scoped, Effect.provide(Events.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Events> = Layer.effect(Events, make)

/**
 * Adds a listener until the scope closes.
 *
 * **Gotchas**
 *
 * Without listeners, a run reads many recorded samples at once, without events. A listener that joins during a run hears of
 * the samples that the run reads from then on.
 *
 * @category listening
 * @since 0.1.0
 */
export const listen = (listener: Listener): Effect.Effect<void, never, Events | Scope.Scope> =>
  Effect.flatMap(Effect.service(Events), (events) => events.listen(listener))

/**
 * The events from the start of the stream on. They wait in an unbounded queue for a slow consumer.
 *
 * @category listening
 * @since 0.1.0
 */
export const stream: Stream.Stream<Event, never, Events> = Stream.callback<Event, never, Events>(
  (queue) => listen((event) => Queue.offerUnsafe(queue, event)),
  { bufferSize: Infinity }
)
