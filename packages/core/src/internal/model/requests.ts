import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Event } from "../../Events.ts"
import type { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import type { Model, Options } from "../../LlmModel.ts"
import type { Drawn } from "../../Sample.ts"
import { ProviderError, type SampleError } from "../../SampleError.ts"
import { errorOf, failureType } from "../events/failureType.ts"
import { isObserved, isTraced, publishEvent } from "../events/observe.ts"
import { defined, purchased } from "./answer.ts"
import { type AtHand, type Restore, withAtHand } from "./atHand.ts"

type Samples = Arr.NonEmptyReadonlyArray<Drawn>

/**
 * Buys samples by requests of at most `maxBatch`, or, from a provider that takes no `n`, by up to `concurrency` requests
 * of one sample each.
 */
export const makeBuying = <R>(
  identity: Identity,
  { concurrency = 1, generate, maxBatch = Infinity, model, provider }: Options<R>,
  withServices: <A, E>(self: Effect.Effect<A, E, Exclude<R, Scope.Scope>>) => Effect.Effect<A, E>
): Pick<Model, "draw" | "requestSize"> => {
  let isSingle = maxBatch === 1

  // as many requests as it takes, evenly filled
  const requestSize = (missing: number) => {
    const most = isSingle ? concurrency : maxBatch
    return Math.ceil(missing / Math.max(1, Math.ceil(missing / most)))
  }

  // Interruptible only while the provider is waited for, where `restore` makes it so.
  const ask = (key: Key, position: number, n: number, restore: Restore): Effect.Effect<Samples, SampleError> =>
    Effect.withFiber((fiber) => {
      const request = crypto.randomUUID()
      const publish = (event: (told: typeof fields) => Event) =>
        isObserved(fiber) ? publishEvent(fiber, event(fields)) : Effect.void
      const fields = { key, position, request, provider, model }
      const bought = Effect.gen(function*(): Effect.fn.Return<Samples, SampleError> {
        yield* publish((fields) => ({ ...fields, _tag: "RequestSent", n }))
        const start = yield* Clock.currentTimeMillis
        const asked = Effect.suspend(() => generate({ prompt: key.prompt, n }))
        const answer = yield* Effect.exit(restore(withServices(Effect.scoped(asked))))
        const end = yield* Clock.currentTimeMillis
        if (Exit.isSuccess(answer) && answer.value?.ignoresN) isSingle = true
        const exit = yield* Effect.exit(
          Effect.flatMap(answer, (generation) => purchased(identity, request, generation, start, end))
        )
        yield* publish((fields) =>
          Exit.isSuccess(exit)
            ? { ...fields, _tag: "RequestDone", samples: exit.value, elapsed: end - start }
            : { ...fields, _tag: "RequestFailed", error: errorOf(exit.cause), cause: exit.cause, elapsed: end - start }
        )
        return yield* Effect.mapError(exit, (error) => inFork(error, key.path))
      })
      return isTraced(fiber) ? spanned(bought, key, n, request) : bought
    })

  // The names are those of OpenTelemetry: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
  const spanned = (bought: Effect.Effect<Samples, SampleError>, key: Key, n: number, request: string) =>
    bought.pipe(
      Effect.tap(describeAnswer),
      Effect.tapCause(describeFailure),
      Effect.withSpan(`chat ${model}`, {
        kind: "client",
        attributes: defined({
          "gen_ai.operation.name": "chat",
          "gen_ai.provider.name": provider,
          "gen_ai.request.model": model,
          "gen_ai.request.choice.count": n,
          "gen_ai.request.temperature": identity.temperature,
          "llm_cache.fork": key.path.length === 0 ? undefined : key.path,
          "llm_cache.request": request
        })
      }, { captureStackTrace: false })
    )

  // Keeps what some of the requests brought where others failed or were interrupted: the rest is asked for by who needs it.
  const askSeveral = Effect.fnUntraced(function*(
    key: Key,
    position: number,
    n: number,
    restore: Restore
  ): Effect.fn.Return<Samples, SampleError> {
    const one = ask(key, position, 1, Effect.interruptible)
    const fibers = yield* Effect.replicateEffect(
      Effect.forkChild(one, { startImmediately: true, uninterruptible: true }),
      n
    )
    yield* Effect.exit(Effect.onInterrupt(restore(Fiber.awaitAll(fibers)), () => Fiber.interruptAll(fibers)))
    const exits = yield* Fiber.awaitAll(fibers)
    const samples = exits.flatMap((exit) => Exit.isSuccess(exit) ? exit.value : [])
    const failures = exits.filter(Exit.isFailure)
    if (!Arr.isArrayNonEmpty(samples)) return yield* failures[0]!
    for (const { cause } of failures) {
      if (Cause.hasDies(cause)) yield* Effect.logError("A request died. What others brought is kept", cause)
    }
    return samples
  })

  const buy: NonNullable<AtHand["buy"]> = (key, position, batch, restore) =>
    Effect.suspend(() => {
      const n = requestSize(batch)
      return isSingle && n > 1 ? askSeveral(key, position, n, restore) : ask(key, position, n, restore)
    })

  const draw: Model["draw"] = (key, position, batch) =>
    Effect.uninterruptibleMask((restore) => buy(key, position, batch, restore))

  return { requestSize, draw: withAtHand(draw, { buy }) }
}

const inFork = (error: SampleError, path: ReadonlyArray<string>): SampleError =>
  error._tag === "ProviderError" && path.length > 0
    ? new ProviderError({ provider: error.provider, reason: error.reason, path })
    : error

const describeAnswer = ([{ metadata }, ...others]: Samples) =>
  Effect.annotateCurrentSpan(defined({
    "gen_ai.response.model": metadata.model,
    "gen_ai.response.finish_reasons": [metadata, ...others.map(({ metadata }) => metadata)].flatMap((
      { finishReason }
    ) => finishReason === undefined ? [] : [finishReason]),
    "gen_ai.usage.input_tokens": metadata.inputTokens,
    "gen_ai.usage.output_tokens": metadata.outputTokens
  }))

const describeFailure = (cause: Cause.Cause<SampleError>) =>
  Effect.annotateCurrentSpan("error.type", failureType(cause))
