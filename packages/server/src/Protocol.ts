/**
 * A protocol of a vendor, as the replaying server speaks it: how a request names a key, how an answer becomes samples, and how
 * samples become an answer.
 *
 * **Details**
 *
 * `ChatCompletions` and the other protocols look alike line by line. A *plain* request (a user's text, with or without a system
 * text) has the key of `LlmModel.sample`, so that it shares a cache with programs of this library. Every other request is
 * *whole*: its prompt is the canonical JSON of its messages, and its parameter `llm-cache` names the protocol, so that no text of
 * a user is taken for one.
 *
 * @since 0.1.0
 */
import type { Generation } from "@llm-cache/core/LlmModel"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Sample } from "@llm-cache/core/Sample"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Data from "effect/Data"
import * as Sse from "effect/encoding/Sse"
import * as Result from "effect/Result"
import { asObject, asString, objectOf } from "./internal/json.ts"
import type { Api } from "./Upstream.ts"

/**
 * A request of a client that no model can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadRequest extends Data.TaggedError("BadRequest")<{ readonly description: string }> {
  override get message(): string {
    return this.description
  }
}

/**
 * A request that an upstream may answer and that no samples stand for. It passes to the upstream, uncached.
 *
 * @category errors
 * @since 0.1.0
 */
export class Uncacheable extends Data.TaggedError("Uncacheable")<{ readonly description: string }> {
  override get message(): string {
    return this.description
  }
}

/**
 * The part of a request that the cache key is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface NormalForm {
  readonly prompt: string
  readonly temperature: number | undefined
  readonly parameters: JsonObject
}

/**
 * A request of a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly body: JsonObject
  /** The client's name of the model. */
  readonly model: string
  /** How many samples. */
  readonly n: number
  readonly isStreamed: boolean
  readonly form: NormalForm
  /**
   * The calls for the prompts of a list. The answer has their samples in this order.
   *
   * @default the call has one prompt
   */
  readonly parts?: ReadonlyArray<Call> | undefined
}

/**
 * What a request to an upstream has of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions {
  /** The upstream's name of the model. */
  readonly model: string
  readonly n: number
  readonly isStreamed: boolean
}

/**
 * The samples for a client, with the positions that they have in the cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answered {
  readonly samples: ReadonlyArray<Sample>
  readonly positions: ReadonlyArray<number>
  readonly promptHash: string
}

/**
 * An event of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamEvent {
  /** @default none is sent */
  readonly event?: string | undefined
  readonly data: string
}

/**
 * Reads the stream of an upstream: forwards the pieces of a sample, and joins them to a whole answer. It holds back the end,
 * which the client gets when the sample is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Joiner {
  /** The events to forward for an event of the upstream. */
  readonly add: (event: StreamEvent) => ReadonlyArray<StreamEvent>
  /** The whole answer, as without a stream. `undefined` if the stream broke off. An error of the stream is its `error`. */
  readonly end: () => JsonObject | undefined
}

/**
 * A failure, as a client is told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly status: number
  readonly message: string
  /** A name for programs. */
  readonly code?: string | undefined
}

/**
 * The part of a protocol by which an upstream is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endpoint {
  /** The value of the parameter `llm-cache` in the identity of whole requests, and the name of its part of `Metadata.rest`. */
  readonly name: string
  /** The vendor of the protocol: its headers, and its errors. */
  readonly api: Api
  /** The path behind `/v1`. */
  readonly path: string
  /** Whether a request can ask for several samples. */
  readonly hasCount: boolean
  /** The body of a request to an upstream. */
  readonly requestBody: (call: Call, options: RequestOptions) => object
  /** The samples of an answer. */
  readonly generation: (answer: JsonObject, n: number) => Result.Result<Generation, ProviderErrorReason>
  /** The body of a failure. */
  readonly failure: (failure: Failure) => JsonObject
  /**
   * The status of an error in the body of a success, or in a stream.
   *
   * @default 502
   */
  readonly statusOf?: ((error: JsonObject) => number | undefined) | undefined
  /** Absent if answers are never streams. */
  readonly makeJoiner?: ((call: Call) => Joiner) | undefined
}

/**
 * A protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol extends Endpoint {
  /** Reads a request, with the headers that go on to an upstream. */
  readonly read: (
    body: JsonObject,
    headers: { readonly [name: string]: string }
  ) => Result.Result<Call, BadRequest | Uncacheable>
  readonly makeJoiner: (call: Call) => Joiner
  /** The answer of samples. */
  readonly answer: (call: Call, answered: Answered) => JsonObject
  /** The events of samples, without those that end the stream. */
  readonly events: (call: Call, answered: Answered) => ReadonlyArray<StreamEvent>
  /** The events that end the stream of samples. */
  readonly lastEvents: (call: Call, answered: Answered) => ReadonlyArray<StreamEvent>
  /** The event of a failure in a stream that has begun. `told` are the upstream's own words. */
  readonly failureEvent: (failure: Failure, told?: JsonObject) => StreamEvent
  /**
   * Puts the number of an event in its stream, from 0, into its data.
   *
   * @default events have no number
   */
  readonly withNumber?: ((data: string, number: number) => string) | undefined
}

/**
 * Reads the body of a recorded answer, whole or a stream.
 *
 * @category parsing
 * @since 0.1.0
 */
export const readAnswer = (
  protocol: Protocol,
  call: Call,
  body: string
): Result.Result<Generation, ProviderErrorReason> => {
  const answer = objectOf(body) ?? joined(protocol.makeJoiner(call), body)
  if (answer === undefined) {
    return Result.fail(new UnusableResponse({ description: "the answer is neither JSON nor a whole stream" }))
  }
  if (!answer["error"]) return protocol.generation(answer, call.n)
  const { message } = asObject(answer["error"]) ?? {}
  return Result.fail(
    new UnusableResponse({ description: `the answer is an error: ${asString(message) ?? "without a message"}` })
  )
}

const joined = (joiner: Joiner, body: string): JsonObject | undefined => {
  const parser = Sse.makeParser((event) => {
    if (event._tag === "Event") joiner.add(event)
  })
  // A last event may be recorded without its empty line.
  return parser.feed(`${body}\n\n`) === undefined ? joiner.end() : undefined
}
