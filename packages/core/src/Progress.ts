/**
 * Shows the progress of a long run on the console.
 *
 * **Details**
 *
 * ```text
 * 3 in flight, 118 requests, 2 failed, 1204 hits, 356 misses, 41230 + 99713 tokens, 5.9 samples/s
 * ```
 *
 * | part | meaning |
 * | --- | --- |
 * | `in flight` | requests without an answer yet |
 * | `retrying` | requests in flight that have failed: each waits, and is sent again. The last failure is in parentheses |
| `requests` | answered requests |
 * | `failed` | requests that brought no sample |
 * | `hits`, `misses` | draws from caches, and draws that no cache could answer |
 * | `tokens` | tokens of prompts + tokens of answers in this run's requests |
 * | `samples/s` | samples from caches and from requests, per second of the last interval |
 *
 * A terminal shows one line that changes in place, beneath everything else that the program prints. A log file or CI gets a new line after each interval with a change.
 * When the layer closes it prints a last line. Progress goes to standard error, so that the program's output stays clean.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Events from "./Events.ts"
import { makeLog, makeTerminalLine, printersBeside } from "./internal/events/terminalLine.ts"
import { UsageCounter } from "./internal/events/usageCounter.ts"
import { InvalidInput } from "./InvalidInput.ts"

/**
 * The destination of the lines, such as `process.stderr`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Output {
  readonly write: (text: string) => void
  /** Whether lines can change in place. */
  readonly isTTY?: boolean | undefined
  /** The width of the terminal. */
  readonly columns?: number | undefined
}

/**
 * When to write, and to which output.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The time between two lines.
   *
   * @default every second on a terminal, otherwise every 30 seconds
   */
  readonly interval?: Duration.Input | undefined
  /**
   * The destination of the lines.
   *
   * @default standard error, or the console of a browser
   */
  readonly output?: Output | undefined
}

/**
 * Shows the progress of all programs that use the same `Events`, until the layer closes. An interval of zero or less fails
 * with `InvalidInput`.
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
export const layer = (options: Options = {}): Layer.Layer<never, InvalidInput, Events.Events> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { output = globalThis.process?.stderr ?? browserConsole } = options
    const isInPlace = output.isTTY === true
    const interval = Duration.fromInput(options.interval ?? (isInPlace ? "1 second" : "30 seconds"))
    if (Option.isNone(interval) || !Duration.isPositive(interval.value)) {
      return yield* new InvalidInput({
        module: "Progress.layer",
        description: "interval is not above zero: give a longer time, or leave it out"
      })
    }
    const counter = new UsageCounter()
    const inFlight = new Set<string>()
    const retrying = new Set<string>()
    let lastFailure = ""
    let [changes, shown] = [0, 0]
    yield* Events.listen((event) => {
      changes++
      if (event._tag === "RequestSent") inFlight.add(event.request)
      else if (event._tag === "RequestRetried") {
        retrying.add(event.request)
        lastFailure = event.error._tag === "ProviderError" ? event.error.reason._tag : event.error._tag
      } else if (event._tag === "RequestDone" || event._tag === "RequestFailed") {
        inFlight.delete(event.request)
        retrying.delete(event.request)
      }
      counter.add(event)
    })

    let last = { time: yield* Clock.currentTimeMillis, samples: 0 }
    const line = Effect.map(Clock.currentTimeMillis, (time) => {
      const { failedRequests, hits, misses, models, spent } = counter.usage()
      // A model without a cache has no hits and misses: its samples come from requests.
      const samples = models.reduce((sum, of) => sum + (of.hits + of.misses || of.spent.samples), 0)
      // The sum may shrink when a model gets its first cache during the run.
      const rate = Math.max(0, samples - last.samples) * 1000 / Math.max(1, time - last.time)
      last = { time, samples }
      shown = changes
      return [
        `${inFlight.size} in flight`,
        ...retrying.size === 0 ? [] : [`${retrying.size} retrying (${lastFailure})`],
        `${spent.requests} requests`,
        ...failedRequests === 0 ? [] : [`${failedRequests} failed`],
        `${hits} hits`,
        `${misses} misses`,
        `${spent.inputTokens} + ${spent.outputTokens} tokens`,
        `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} samples/s`
      ].join(", ")
    })
    const terminal = yield* Effect.acquireRelease(
      Effect.sync(() => isInPlace ? makeTerminalLine(output, printersBeside(output)) : makeLog(output)),
      (terminal) => Effect.map(line, terminal.close)
    )
    const show = Effect.map(line, terminal.show)
    yield* Effect.sleep(interval.value).pipe(
      Effect.andThen(Effect.suspend(() => isInPlace || changes !== shown ? show : Effect.void)),
      Effect.forever,
      Effect.forkScoped
    )
  }))

// A browser has no standard error. The program's logger need not write to the console.
// @effect-diagnostics-next-line globalConsole:off
const browserConsole: Output = { write: (text) => console.error(text.trimEnd()) }
