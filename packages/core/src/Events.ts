/**
 * What happens as a program samples: requests that are sent and answered, hits and misses of caches, samples that are
 * stored.
 *
 * **When to use**
 *
 * Use to log, count or show what a program does; `Usage`, `Progress` and `Metrics` are made of it. Nothing is made or
 * kept while no one listens.
 *
 * **Details**
 *
 * What a program does is told to the `Events` that are provided to it, wherever its models were built. Each sample that a
 * cache hands out was one hit or one miss. One that a cache beneath had is a miss of the caches above that one.
 *
 * At the log level `Debug`, each event is a log message too, also without this layer.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Key } from "./Key.ts"
import type { Sample } from "./Sample.ts"
import type { SampleError } from "./SampleError.ts"

/**
 * What every event tells.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  /** The model, the prompt and the fork. */
  readonly key: Key
  /** The position in the sequence of the model that tells it; of a request, the one of the draw that it was sent for. */
  readonly position: number
}

/**
 * A request goes to a provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestSent extends Fields {
  readonly _tag: "RequestSent"
  /** The request's name, which the metadata of its samples have too. */
  readonly request: string
  /** The provider's name, where the model has one. */
  readonly provider: string | undefined
  /** The provider's name of the model, which is not the key's where that has an alias. */
  readonly model: string
  /** How many samples it asks for. */
  readonly n: number
}

/**
 * A request was answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestDone extends Fields {
  readonly _tag: "RequestDone"
  readonly request: string
  readonly provider: string | undefined
  readonly model: string
  /** What it brought, one or more. */
  readonly samples: ReadonlyArray<Sample>
  /** How long it took, in milliseconds, with its retries and what it waited for `Limits` of the provider. */
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
  /** Absent where the request was interrupted, or ended by a defect. */
  readonly error: SampleError | undefined
  /** Tells those two apart, and has the defect. */
  readonly cause: Cause.Cause<SampleError>
  /** How long it took, in milliseconds, with its retries and what it waited for `Limits` of the provider. */
  readonly elapsed: number
}

/**
 * A cache had the sample.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hit extends Fields {
  readonly _tag: "Hit"
  /** The id of the cache's store, or `Repeatable` for the memory of one. */
  readonly store: string
  readonly sample: Sample
  /** Whether the draw waited for what another draw had asked for, of this process or, with a lease, of another one. */
  readonly waited: boolean
}

/**
 * A cache did not have the sample.
 *
 * @category models
 * @since 0.1.0
 */
export interface Miss extends Fields {
  readonly _tag: "Miss"
  /** The id of the cache's store, or `Repeatable` for the memory of one. */
  readonly store: string
  /** What is asked next: another cache, a provider, or, in replication, nothing. */
  readonly asks: "cache" | "provider" | "nothing"
}

/**
 * A sample that was drawn from beneath is in a cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored extends Fields {
  readonly _tag: "Stored"
  /** The id of the cache's store, or `Repeatable` for the memory of one. */
  readonly store: string
  readonly sample: Sample
}

/**
 * A sample is on record and is not handed out, because the cache refuses its finish reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refused extends Fields {
  readonly _tag: "Refused"
  /** The id of the cache's store, or `Repeatable` for the memory of one. */
  readonly store: string
  readonly sample: Sample
}

/**
 * Something that happened.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = RequestSent | RequestDone | RequestFailed | Hit | Miss | Stored | Refused

/**
 * Runs at each event, at once, in the fiber that it happens in. What it throws is logged, and changes nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export type Listener = (event: Event) => void

/**
 * Where events are told.
 *
 * @category services
 * @since 0.1.0
 */
export class Events extends Context.Service<Events, {
  /** Has a listener run at each event, until the scope closes. */
  readonly listen: (listener: Listener) => Effect.Effect<void, never, Scope.Scope>
  /** Whether anyone listens, here or around. What happens need not be told where no one does. */
  readonly hasListeners: () => boolean
  /** Runs all listeners, and throws what one of them has thrown. */
  readonly publish: Listener
}>()("@llm-cache/core/Events") {}

/**
 * Makes a place where events are told. What is told there is told to the `Events` around it too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Events["Service"]> = Effect.contextWith((context: Context.Context<never>) => {
  const outer = Context.getOrUndefined(context as Context.Context<Events>, Events)
  const listeners = new Set<Listener>()
  return Effect.succeed({
    listen: (listener) => {
      // Of its own, so that a listener that is given twice runs twice.
      const own: Listener = (event) => listener(event)
      return Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => listeners.add(own)),
        () => Effect.sync(() => listeners.delete(own))
      ))
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
 * Provides a place where events are told, to the programs that it is provided to.
 *
 * **Gotchas**
 *
 * Effect shares a layer by reference: provided within a program that has it already, it is the same place, and who listens
 * there hears the whole program. For a place of its own, use `Layer.fresh`.
 *
 * **Example** (What a program spends requests on)
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
 * Has a listener run at each event, until the scope closes.
 *
 * **Gotchas**
 *
 * While no one listens, a run reads many recorded samples at once. One that is under way tells of those that it reads from
 * then on.
 *
 * @category listening
 * @since 0.1.0
 */
export const listen = (listener: Listener): Effect.Effect<void, never, Events | Scope.Scope> =>
  Effect.flatMap(Effect.service(Events), (events) => events.listen(listener))

/**
 * The events from the time on that the stream is run. They wait, without limit, for a consumer that is slower.
 *
 * @category listening
 * @since 0.1.0
 */
export const stream: Stream.Stream<Event, never, Events> = Stream.callback<Event, never, Events>(
  (queue) => listen((event) => Queue.offerUnsafe(queue, event)),
  { bufferSize: Infinity }
)
