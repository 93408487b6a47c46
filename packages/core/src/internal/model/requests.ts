import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Event } from "../../Events.ts"
import type { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import type { Model, Samples } from "../../Model.ts"
import { ProviderError, type SampleError } from "../../SampleError.ts"
import { errorOf, failureType } from "../events/failureType.ts"
import { type AnyFiber, isObserved, isTraced, publishEvent } from "../events/observe.ts"
import { defined, readGeneration } from "./answer.ts"
import { CurrentRetry } from "./currentRetry.ts"
import type { Generation, Options, RetryWait } from "./generation.ts"
import { RequestCheck } from "./requestCheck.ts"
import { ReceivedResponses, repeatedResponse } from "./responseIds.ts"

/** Lets an effect be interrupted where the caller can be. */
type Interruptible = <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>

/**
 * Draws samples by requests of at most `maxBatch`, or, if the provider ignores `n`, by up to `concurrency` requests of one
 * sample each.
 */
export const makeRequests = <R>(
  identity: Identity,
  { concurrency = 1, generate, maxBatch = Infinity, model, provider, uniqueResponseIds = true }: Options<R>,
  withServices: <A, E>(self: Effect.Effect<A, E, Exclude<R, Scope.Scope>>) => Effect.Effect<A, E>
): Pick<Model, "draw" | "requestSize"> => {
  let isSingle = maxBatch === 1
  const received = new ReceivedResponses()

  const read = (key: Key, request: string, generation: Generation, start: number, end: number) =>
    uniqueResponseIds
      ? Effect.tap(readGeneration(identity, request, generation, start, end), ({ samples }) => {
        const { responseId } = samples[0].metadata
        return responseId !== undefined && received.add(key, responseId, samples)
          ? Effect.fail(repeatedResponse(key, responseId))
          : Effect.void
      })
      : readGeneration(identity, request, { ...generation, responseId: undefined }, start, end)

  // As few requests as it takes, evenly filled.
  const requestSize = (missing: number) => {
    const most = isSingle ? concurrency : maxBatch
    return Math.ceil(missing / Math.max(1, Math.ceil(missing / most)))
  }

  // Interruptible only while it waits for the provider.
  const ask = (
    key: Key,
    position: number,
    n: number,
    interruptible: Interruptible
  ): Effect.Effect<Samples, SampleError> =>
    Effect.withFiber((fiber) => {
      const request = crypto.randomUUID()
      const publish = (event: (told: typeof fields) => Event) =>
        isObserved(fiber) ? publishEvent(fiber, event(fields)) : Effect.void
      const fields = { key, position, request, provider, model }
      const onRetry = ({ delay, error }: RetryWait) =>
        publish((fields) => ({ ...fields, _tag: "RequestRetried", error, delay: Duration.toMillis(delay) }))
      const check = fiber.getRef(RequestCheck)
      const asked = Effect.gen(function*(): Effect.fn.Return<Samples, SampleError> {
        if (check !== undefined && provider !== undefined) yield* check({ key, n, provider })
        yield* publish((fields) => ({ ...fields, _tag: "RequestSent", n }))
        const start = yield* Clock.currentTimeMillis
        const generated = Effect.scoped(
          Effect.suspend(() => effectOf(generate({ key, prompt: key.prompt, n, onRetry })))
        )
        const answer = yield* Effect.exit(interruptible(withServices(retried(fiber, generated, onRetry))))
        const end = yield* Clock.currentTimeMillis
        if (Exit.isSuccess(answer) && answer.value?.ignoresN) isSingle = true
        const isUsageTraced = Exit.isSuccess(answer) && answer.value?.isUsageTraced === true
        const exit = yield* Effect.exit(
          Effect.flatMap(answer, (generation) => read(key, request, generation, start, end))
        )
        yield* publish((fields) =>
          Exit.isSuccess(exit)
            ? { ...fields, _tag: "RequestDone", ...exit.value, elapsed: end - start }
            : { ...fields, _tag: "RequestFailed", error: errorOf(exit.cause), cause: exit.cause, elapsed: end - start }
        )
        if (Exit.isSuccess(exit) && isTraced(fiber)) yield* describeAnswer(exit.value.samples, isUsageTraced)
        return yield* Effect.mapBoth(exit, {
          onFailure: (error) => inFork(error, key.path),
          onSuccess: ({ samples }) => samples
        })
      })
      return isTraced(fiber) ? spanned(asked, key, n, request) : asked
    })

  // The names are those of OpenTelemetry: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
  const spanned = (asked: Effect.Effect<Samples, SampleError>, key: Key, n: number, request: string) =>
    asked.pipe(
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

  // If some of the requests fail or are interrupted, the samples of the others are kept, and later draws ask for the rest.
  const askSeveral = Effect.fnUntraced(function*(
    key: Key,
    position: number,
    n: number,
    interruptible: Interruptible
  ): Effect.fn.Return<Samples, SampleError> {
    const one = ask(key, position, 1, Effect.interruptible)
    const fibers = yield* Effect.replicateEffect(
      Effect.forkChild(one, { startImmediately: true, uninterruptible: true }),
      n
    )
    yield* Effect.exit(Effect.onInterrupt(interruptible(Fiber.awaitAll(fibers)), () => Fiber.interruptAll(fibers)))
    const exits = yield* Fiber.awaitAll(fibers)
    const samples = exits.flatMap((exit) => Exit.isSuccess(exit) ? exit.value : [])
    const failures = exits.filter(Exit.isFailure)
    if (!Arr.isArrayNonEmpty(samples)) return yield* failures[0]!
    for (const { cause } of failures) {
      if (Cause.hasDies(cause)) yield* Effect.logError("A request died. The samples of the others are kept", cause)
    }
    return samples
  })

  const draw: Model["draw"] = (key, position, batch, options) =>
    Effect.uninterruptibleMask((interruptible) => {
      const n = requestSize(batch)
      const asked = isSingle && n > 1
        ? askSeveral(key, position, n, interruptible)
        : ask(key, position, n, interruptible)
      return options?.onTaken === undefined ? asked : Effect.map(asked, (samples) => {
        options.onTaken!(samples)
        return samples
      })
    })

  return { requestSize, draw }
}

// Programs in JavaScript have no type check, and a value that is no effect would end the fiber past all handlers.
const effectOf = <A, E, R>(generated: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.isEffect(generated) ? generated : Effect.die(
    new TypeError(
      "`generate` returned no effect: wrap an async function in `Effect.promise`, and a value in `Effect.succeed`"
    )
  )

// The models that `generate` may draw from do not retry again.
const retried = <A, R>(
  fiber: AnyFiber,
  request: Effect.Effect<A, SampleError, R>,
  onRetry: (wait: RetryWait) => Effect.Effect<void>
): Effect.Effect<A, SampleError, R> => {
  const retry = fiber.getRef(CurrentRetry)
  return retry === undefined ? request : retry(Effect.provideService(request, CurrentRetry, undefined), onRetry)
}

const inFork = (error: SampleError, path: ReadonlyArray<string>): SampleError =>
  error._tag === "ProviderError" && path.length > 0
    ? new ProviderError({ ...fieldsOf(error), path })
    : error

const fieldsOf = ({ elapsed, provider, reason, tries }: ProviderError) => defined({ provider, reason, tries, elapsed })

const describeAnswer = ([{ metadata }, ...others]: Samples, isUsageTraced: boolean) =>
  Effect.annotateCurrentSpan(defined({
    "gen_ai.response.model": metadata.model,
    "gen_ai.response.finish_reasons": [metadata, ...others.map(({ metadata }) => metadata)].flatMap((
      { finishReason }
    ) => finishReason === undefined ? [] : [finishReason]),
    ...isUsageTraced ? {} : {
      "gen_ai.usage.input_tokens": metadata.inputTokens,
      "gen_ai.usage.output_tokens": metadata.outputTokens
    }
  }))

const describeFailure = (cause: Cause.Cause<SampleError>) =>
  Effect.annotateCurrentSpan("error.type", failureType(cause))
