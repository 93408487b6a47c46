/**
 * Shows on the console how far a long run has come.
 *
 * **Details**
 *
 * ```text
 * 3 in flight, 118 requests, 2 failed, 1204 hits, 356 misses, 41230 + 99713 tokens, 5.9 samples/s
 * ```
 *
 * These are: requests under way, requests that were answered, those that brought nothing, draws that caches answered and
 * those that they could not, tokens of prompts and of answers that were spent, and samples that were handed out of caches
 * or bought, per second, in the last interval.
 *
 * On a terminal it is one line that changes in place; elsewhere, in a log file or in CI, a line is printed whenever
 * something has changed in an interval. A last line is printed when the layer closes. All goes to standard error, so that
 * the output of the program stays as it is.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Events from "./Events.ts"
import { UsageCounter } from "./internal/events/usageCounter.ts"
import { ProviderError } from "./SampleError.ts"

/**
 * Where progress is shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Output {
  readonly write: (text: string) => void
  /** Whether a line can be changed in place. */
  readonly isTTY?: boolean | undefined
  /** The width of the terminal. */
  readonly columns?: number | undefined
}

/**
 * How progress is shown.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How often.
   *
   * @default every second on a terminal, otherwise every 30 seconds
   */
  readonly interval?: Duration.Input | undefined
  /**
   * Where.
   *
   * @default standard error
   */
  readonly output?: Output | undefined
}

/**
 * Shows the progress of the programs that the events are told of, until the layer closes. Fails with a `ProviderError`
 * (`BadRequest`) for an interval that is none.
 *
 * **Example** (A run that can be watched)
 *
 * ```ts
 * import { Events, LlmModel, Progress } from "@llm-cache/core"
 * import { Effect, Layer } from "effect"
 *
 * const prompts = Array.from({ length: 1000 }, (_, i) => `Is ${i} prime?`)
 *
 * const program = Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt), { concurrency: 16 }).pipe(
 *   Effect.provide(Layer.provideMerge(Progress.layer(), Events.layer))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never, ProviderError, Events.Events> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { output = process.stderr } = options
    const isInPlace = output.isTTY === true
    const interval = Duration.fromInput(options.interval ?? (isInPlace ? "1 second" : "30 seconds"))
    if (Option.isNone(interval) || !Duration.isPositive(interval.value)) {
      return yield* ProviderError.badRequest(
        "Progress.layer",
        "`interval` is no time that could pass: give one above zero, or leave it out"
      )
    }
    const write = (text: string): void => {
      try {
        output.write(text)
      } catch {
        // A console that is gone is no reason to stop.
      }
    }
    const counter = new UsageCounter()
    const inFlight = new Set<string>()
    let [changes, shown] = [0, 0]
    yield* Events.listen((event) => {
      changes++
      if (event._tag === "RequestSent") inFlight.add(event.request)
      else if (event._tag === "RequestDone" || event._tag === "RequestFailed") inFlight.delete(event.request)
      counter.add(event)
    })

    let last = { time: yield* Clock.currentTimeMillis, samples: 0 }
    const line = Effect.map(Clock.currentTimeMillis, (time) => {
      const { failedRequests, hits, misses, models, spent } = counter.usage()
      // of models without a cache: what was bought
      const samples = models.reduce((sum, of) => sum + (of.hits + of.misses || of.spent.samples), 0)
      // A model that is drawn from without a cache, and then with one, is counted otherwise from then on.
      const rate = Math.max(0, samples - last.samples) * 1000 / Math.max(1, time - last.time)
      last = { time, samples }
      shown = changes
      return [
        `${inFlight.size} in flight`,
        `${spent.requests} requests`,
        ...failedRequests === 0 ? [] : [`${failedRequests} failed`],
        `${hits} hits`,
        `${misses} misses`,
        `${spent.inputTokens} + ${spent.outputTokens} tokens`,
        `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} samples/s`
      ].join(", ")
    })
    const show = Effect.map(
      line,
      (text) => write(isInPlace ? `\r\x1b[2K${text.slice(0, (output.columns || 80) - 1)}` : `${text}\n`)
    )

    yield* Effect.addFinalizer(() => Effect.map(line, (text) => write(`${isInPlace ? "\r\x1b[2K" : ""}${text}\n`)))
    yield* Effect.sleep(interval.value).pipe(
      Effect.andThen(Effect.suspend(() => isInPlace || changes !== shown ? show : Effect.void)),
      Effect.forever,
      Effect.forkScoped
    )
  }))
