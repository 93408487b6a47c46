import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type * as SampleError from "@llm-cache/core/SampleError"
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ModelAnswer from "../ModelAnswer.ts"
import { causeOf, toAiError } from "./aiErrors.ts"
import type { Prepared } from "./currentRequest.ts"
import { Abandoned, LiveStream } from "./liveStream.ts"
import { findUndeclaredCall, type UndeclaredCall } from "./undeclaredCall.ts"

type Part = Response.StreamPartEncoded

interface Rest {
  readonly parts: ReadonlyArray<Part>
  readonly error: AiError.AiError | undefined
}

/** Makes the function that streams answers. */
export const makeStreams = (options: {
  readonly isLive: boolean
  readonly whenAbandoned: "finish" | "abort"
  /** The scope of the draws of streams that programs have left. */
  readonly scope: Scope.Scope
  readonly prepare: (options: LanguageModel.ProviderOptions) => Effect.Effect<Prepared, SampleError.SampleError>
  readonly draw: (prepared: Prepared) => Effect.Effect<string, SampleError.SampleError>
  readonly read: (model: LlmModel.Model, text: string) => Effect.Effect<ModelAnswer.Answer, InvalidInput>
}) => {
  const { draw, isLive, prepare, read, scope, whenAbandoned } = options

  // A request that another program's stream was for may have been aborted with it.
  const drawn = (prepared: Prepared): Effect.Effect<string, SampleError.SampleError> =>
    draw(prepared).pipe(Effect.catch((error) => {
      const cause = error._tag === "ProviderError" ? causeOf(error.reason) : undefined
      return cause instanceof Abandoned && cause.stream !== prepared.request.stream
        ? drawn(prepared)
        : Effect.fail(error)
    }))

  /** The parts that are left to show, once the draw has its sample, and the error that they end with. */
  const rest = (
    model: LlmModel.Model,
    stream: LiveStream,
    text: string,
    findUndeclared: (parts: ReadonlyArray<Part>) => UndeclaredCall | undefined
  ): Effect.Effect<Rest, InvalidInput> =>
    !stream.hasShown
      ? Effect.map(read(model, text), (answer) => {
        const parts = ModelAnswer.toStream(answer)
        const undeclared = findUndeclared(parts)
        return undeclared === undefined
          ? { parts, error: undefined }
          : { parts: parts.slice(0, undeclared.index), error: undeclared.error }
      })
      : stream.shown === text
      ? Effect.succeed({ parts: [], error: stream.undeclared?.error })
      : Effect.fail(notRecorded())

  const fail = (error: SampleError.SampleError) => toAiError("streamText", error)

  return (providerOptions: LanguageModel.ProviderOptions): Stream.Stream<Part, AiError.AiError> =>
    // Nothing comes between the start of a draw and the finalizer that ends it.
    Stream.unwrap(Effect.uninterruptible(Effect.gen(function*() {
      const program = yield* CurrentProgram
      const { model, request } = yield* Effect.mapError(prepare(providerOptions), fail)
      const queue = yield* Queue.make<Part, AiError.AiError | Cause.Done>()
      const findUndeclared = (parts: ReadonlyArray<Part>) => findUndeclaredCall(providerOptions, "streamText", parts)
      const stream = new LiveStream(isLive && model.leavesSamplesOut !== true, queue, findUndeclared)
      const answer = Effect.flatMap(
        drawn({ model, request: { ...request, stream } }),
        (text) => rest(model, stream, text, findUndeclared)
      )
      const fiber = yield* LlmModel.onBehalfOf(Effect.mapError(answer, fail), program ?? (yield* Effect.fiber)).pipe(
        Effect.forkIn(scope, { startImmediately: true })
      )
      const exit = fiber.pollUnsafe()
      if (exit !== undefined && !stream.hasShown) {
        if (Exit.isFailure(exit)) return Stream.failCause(exit.cause)
        const parts = executedApart(Stream.fromArray(exit.value.parts))
        return exit.value.error === undefined ? parts : Stream.concat(parts, Stream.fail(exit.value.error))
      }
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          if (fiber.pollUnsafe() !== undefined) return Effect.void
          if (whenAbandoned === "abort") Deferred.doneUnsafe(stream.aborted, Effect.void)
          // From its first part on the sample is handed out, so its draw has to end.
          return stream.hasShown ? Effect.void : Effect.asVoid(Fiber.interrupt(fiber))
        })
      )
      fiber.addObserver((exit) => {
        if (Exit.isFailure(exit)) return void Queue.failCauseUnsafe(queue, exit.cause)
        const { error, parts } = exit.value
        if (parts.length > 0) Queue.offerAllUnsafe(queue, parts)
        if (error === undefined) Queue.endUnsafe(queue)
        else Queue.failCauseUnsafe(queue, Cause.fail(error))
      })
      return executedApart(Stream.fromQueue(queue))
    })))
}

/**
 * A stream with what a provider has executed in chunks of their own. Such parts may have a form that the program's tools do not
 * know, and that hides the other parts of their chunk.
 */
const executedApart = <E>(self: Stream.Stream<Part, E>): Stream.Stream<Part, E> =>
  Stream.flattenArray(Stream.mapArray(self, splitExecuted))

const splitExecuted = (parts: Arr.NonEmptyReadonlyArray<Part>): Arr.NonEmptyReadonlyArray<typeof parts> =>
  parts.some(isExecuted) ? Arr.groupWith(parts, (a, b) => !isExecuted(a) && !isExecuted(b)) : [parts]

const isExecuted = (part: Part): boolean => "providerExecuted" in part && part.providerExecuted === true

/** The fiber of a program that streams. The reader of its answer is a fiber of the `LanguageModel`. */
const CurrentProgram = Context.Reference<Fiber.Fiber<unknown, unknown> | undefined>("@llm-cache/ai/CurrentProgram", {
  defaultValue: () => undefined
})

/** A stream that draws for the fiber in which it runs. */
export const drawingFor = <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.unwrap(Effect.map(Effect.fiber, (fiber) => Stream.provideService(self, CurrentProgram, fiber)))

const notRecorded = () =>
  new InvalidInput({
    module: "CachedModel",
    description:
      "the answer that the stream has shown is not the one that is recorded, because another process was first: give " +
      "the cache a `lease`, or `CachedModel.layer` the option `live: false`"
  })
