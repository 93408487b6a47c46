import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Event } from "../Events.ts"
import type { Identity } from "../Identity.ts"
import type { Key } from "../Key.ts"
import type { Model, Options } from "../LlmModel.ts"
import type { Drawn } from "../Sample.ts"
import { ProviderError, type SampleError } from "../SampleError.ts"
import { isObserved, tell } from "./observe.ts"
import { defined, purchased } from "./purchased.ts"

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

  const ask = (key: Key, position: number, n: number): Effect.Effect<Samples, SampleError> =>
    Effect.withFiber((fiber) => {
      const request = crypto.randomUUID()
      const told = { key, position, request }
      const publish = (event: () => Event) => isObserved(fiber) ? tell(fiber, event()) : Effect.void
      return Effect.gen(function*(): Effect.fn.Return<Samples, SampleError> {
        yield* publish(() => ({ ...told, _tag: "RequestSent", n }))
        const start = yield* Clock.currentTimeMillis
        const elapsed = Effect.map(Clock.currentTimeMillis, (end) => end - start)
        return yield* withServices(Effect.scoped(generate({ prompt: key.prompt, n }))).pipe(
          Effect.flatMap((generation) => {
            if (generation?.ignoresN) isSingle = true
            return Effect.flatMap(
              Clock.currentTimeMillis,
              (end) => purchased(identity, request, generation, start, end)
            )
          }),
          Effect.mapError((error) =>
            error._tag === "ProviderError" && key.path.length > 0
              ? new ProviderError({ provider: error.provider, reason: error.reason, path: key.path })
              : error
          ),
          Effect.onExit((exit) =>
            Effect.flatMap(elapsed, (elapsed) =>
              publish((): Event =>
                exit._tag === "Success"
                  ? { ...told, _tag: "RequestDone", samples: exit.value, elapsed }
                  : {
                    ...told,
                    _tag: "RequestFailed",
                    error: Option.getOrUndefined(Cause.findErrorOption(exit.cause)),
                    elapsed
                  }
              ))
          )
        )
      }).pipe(
        Effect.tap(describeAnswer),
        Effect.tapError(describeError),
        Effect.withSpan(`chat ${model}`, {
          kind: "client",
          attributes: {
            "gen_ai.operation.name": "chat",
            ...(provider === undefined ? undefined : { "gen_ai.provider.name": provider }),
            "gen_ai.request.model": model,
            "gen_ai.request.choice.count": n,
            ...(identity.temperature === undefined
              ? undefined
              : { "gen_ai.request.temperature": identity.temperature }),
            ...(key.path.length === 0 ? undefined : { "llm_cache.fork": key.path }),
            "llm_cache.request": request
          }
        })
      )
    })

  // Keeps what some of the requests brought where others failed: the rest is asked for by who needs it.
  const askSeveral = (key: Key, position: number, n: number): Effect.Effect<Samples, SampleError> =>
    Effect.flatMap(
      Effect.forEach(Arr.range(0, n - 1), (i) => Effect.result(ask(key, position + i, 1)), {
        concurrency: "unbounded"
      }),
      (results) => {
        const samples = results.flatMap((result) => Result.isSuccess(result) ? result.success : [])
        if (Arr.isArrayNonEmpty(samples)) return Effect.succeed(samples)
        const failed = results.find(Result.isFailure)
        return failed === undefined ? Effect.die(new Error("requests brought nothing")) : Effect.fail(failed.failure)
      }
    )

  return {
    requestSize,
    draw: (key, position, batch) => {
      const n = requestSize(batch)
      return isSingle && n > 1 ? askSeveral(key, position, n) : ask(key, position, n)
    }
  }
}

// The names are those of OpenTelemetry: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
const describeAnswer = ([{ metadata }, ...others]: Samples) =>
  Effect.annotateCurrentSpan(defined({
    "gen_ai.response.model": metadata.model,
    "gen_ai.response.finish_reasons": [metadata, ...others.map(({ metadata }) => metadata)].flatMap((
      { finishReason }
    ) => finishReason === undefined ? [] : [finishReason]),
    "gen_ai.usage.input_tokens": metadata.inputTokens,
    "gen_ai.usage.output_tokens": metadata.outputTokens
  }))

const describeError = (error: SampleError) =>
  Effect.annotateCurrentSpan("error.type", error._tag === "ProviderError" ? error.reason._tag : error._tag)
