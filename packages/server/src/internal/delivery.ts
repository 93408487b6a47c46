import * as Events from "@llm-cache/core/Events"
import type { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { Drawn } from "@llm-cache/core/Sample"
import type { SampleError } from "@llm-cache/core/SampleError"
import type { Trace } from "@llm-cache/core/Trace"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type { Answered } from "../Protocol.ts"
import type { Racer } from "./races.ts"

interface Options {
  readonly model: LlmModel.Model
  readonly key: Key
  readonly n: number
  /** Absent outside of runs, and without traces. */
  readonly trace: Trace["Service"] | undefined
  /** The layers of the run that draws, if its readers have a state. */
  readonly place: string | undefined
  /** The other requests of the run, if its readers have a state. */
  readonly racer: Racer | undefined
}

/** The samples of one response: drawn, noted in the trace, and given back if the client goes away before it has them. */
export class Delivery {
  readonly #options: Options
  #drawn: ReadonlyArray<Drawn> = []
  /** The positions of the samples in the cache. */
  positions: ReadonlyArray<number> = []
  /** Their positions in the sequence of the run's reader, which passes over excluded samples. */
  #taken: ReadonlyArray<number> = []
  #isGiven = false
  /** The position that a request in flight is to fill. */
  asked: number | undefined
  /** The store that gets the samples of the request. */
  #asking: string | undefined
  readonly #stored = new Set<number>()
  readonly #found = new Set<number>()
  #hasWaited = false

  constructor(options: Options) {
    this.#options = options
  }

  /** Draws the samples. A failure and an interruption give them back. */
  get draw(): Effect.Effect<Answered, SampleError> {
    const { key, model, n, place, trace } = this.#options
    return Effect.uninterruptibleMask((interruptible) =>
      Effect.gen({ self: this }, function*() {
        yield* trace?.ask(key, n) ?? Effect.void
        const events = Context.getOrUndefined(
          (yield* Effect.context()) as Context.Context<Events.Events>,
          Events.Events
        )
        const drawn = yield* interruptible(
          Effect.provideService(
            LlmModel.draw(model, key, n),
            Events.Events,
            this.#listenTo(events ?? (yield* Events.make))
          )
        )
        this.#drawn = drawn
        this.positions = drawn.map(({ origins }, i) => origins.at(-1) ?? i)
        this.#taken = drawn.map(({ origins }, i) => origins[0] ?? i)
        this.#isGiven = true
        // Without the note, a next server would give them again.
        yield* Effect.onError(trace?.give(key, this.#taken, place) ?? Effect.void, () => this.giveBack)
        return { samples: drawn, positions: this.positions, promptHash: key.promptHash }
      })
    )
  }

  /** Gives the samples back if the response is not written to its end. */
  watch(response: Http.ServerResponse): void {
    const onClose = () => {
      // Requests that arrived with this one were sent before its answer.
      if (this.#options.racer !== undefined) setImmediate(this.#options.racer.end)
      if (!response.writableFinished) Effect.runFork(this.giveBack)
    }
    // A request for many prompts has a delivery for each.
    response.setMaxListeners(0)
    if (response.closed) onClose()
    else response.once("close", onClose)
  }

  /** Gives the samples back that were drawn and that the client does not get. */
  get giveBack(): Effect.Effect<void> {
    const { key, model, place, trace } = this.#options
    return Effect.suspend(() => {
      if (!this.#isGiven) return Effect.void
      this.#isGiven = false
      return model.giveBack === undefined
        ? Effect.void
        : Effect.andThen(
          model.giveBack(key, this.#drawn),
          Effect.ignore(trace?.takeBack(key, this.#taken, place) ?? Effect.void)
        )
    })
  }

  /** The header `Cache-Status` of RFC 9211. */
  get cacheStatus(): string {
    if (this.asked === undefined) return this.#hasWaited ? "llm-cache; fwd=miss; collapsed" : "llm-cache; hit"
    const hasHit = [...this.#found].some((position) => !this.#stored.has(position))
    return `llm-cache; fwd=${hasHit ? "partial" : "miss"}${this.#isGiven ? "; stored" : ""}`
  }

  #listenTo(outer: Events.Events["Service"]): Events.Events["Service"] {
    return {
      listen: outer.listen,
      hasListeners: () => true,
      publish: (event) => {
        if (event._tag === "Miss" && event.asks === "provider") {
          this.asked ??= event.position
          this.#asking = event.store
        } else if (event._tag === "Stored") {
          // A slice also stores the samples of the cache.
          if (event.store === this.#asking) this.#stored.add(event.position)
        } else if (event._tag === "Hit") {
          this.#found.add(event.position)
          if (event.waited) this.#hasWaited = true
        }
        // Races of requests are more than those of draws.
        if (event._tag === "Raced") return
        const isDrawn = (event._tag === "Hit" || event._tag === "Miss") && event.store !== "Repeatable"
        if (isDrawn && this.#options.racer?.draw()) {
          outer.publish({ _tag: "Raced", key: event.key, position: event.position })
        }
        outer.publish(event)
      }
    }
  }
}
