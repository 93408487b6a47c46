import * as Events from "@llm-cache/core/Events"
import { Key } from "@llm-cache/core/Key"
import type { Model } from "@llm-cache/core/Model"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { SampleError } from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Http from "node:http"
import type { Place } from "../Place.ts"
import type { Answered, BadRequest, Call, Endpoint, Protocol, StreamEvent, Uncacheable } from "../Protocol.ts"
import { placeName, type RunInUse, type Runs } from "../Runs.ts"
import { type BadBody, keyedCallOf, readBody } from "./body.ts"
import type { Bypass } from "./bypass.ts"
import { Delivery } from "./delivery.ts"
import { failureResponse, toFailure, type ToldFailure } from "./failure.ts"
import { passedQuery } from "./guard.ts"
import { objectOf } from "./json.ts"
import type { KeyOf } from "./keys.ts"
import { CurrentReplication } from "./replication.ts"
import { CurrentCall, type Join } from "./source.ts"

export interface Completion {
  readonly model: Model
  readonly bypass: Bypass
  readonly runs: Runs
  readonly keyOf: KeyOf
  readonly protocol: Protocol
  readonly place: Place
  /** The client's headers that go on to an upstream. */
  readonly headers: { readonly [name: string]: string }
  readonly incoming: Http.IncomingMessage
  readonly response: Http.ServerResponse
}

/** Answers a request for samples. */
export const complete = (completion: Completion): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { headers, incoming, protocol } = completion
  const keyed = keyedCallOf(incoming)
  const read = (body: JsonObject) => keyed === undefined ? protocol.read(body, headers) : Result.succeed(keyed.call)
  return readRequest(completion, read, (call) =>
    Effect.gen(function*() {
      const prepared =
        yield* (call.parts === undefined ? prepare(completion, call, keyed?.key) : prepareParts(completion, call.parts))
      const respond = call.isStreamed ? stream : whole
      return yield* respond(completion, call, prepared)
    }))
}

/** Reads a request and answers it. A request that no samples stand for passes to the upstream. */
export const readRequest = <A>(
  { bypass, incoming, place, protocol }: Preparation,
  read: (body: JsonObject) => Result.Result<A, BadRequest | Uncacheable>,
  answer: (request: A) => Effect.Effect<HttpServerResponse.HttpServerResponse, SampleError | BadBody | RunInUse>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.gen(function*() {
    const body = yield* readBody(incoming)
    const request = read(body)
    if (Result.isSuccess(request)) return yield* answer(request.success)
    if (request.failure._tag === "BadRequest") return yield* request.failure
    return yield* bypass(incoming, { place, protocol, path: protocol.path, body, why: request.failure.message })
  }).pipe(
    Effect.catch((error) => Effect.succeed(failureResponse(protocol, toFailure(error))))
  )

interface Prepared {
  readonly draw: (onPieces?: (events: ReadonlyArray<StreamEvent>) => void) => Effect.Effect<Answered, SampleError>
  /** Gives the samples back that were drawn. */
  readonly giveBack: Effect.Effect<void>
  readonly cacheStatus: () => string
  /** The headers of the response so far. */
  readonly headers: () => { readonly [name: string]: string }
}

/** A request to an endpoint that may bring samples together. */
export interface Preparation extends Omit<Completion, "protocol"> {
  readonly protocol: Endpoint
  readonly join?: Join | undefined
}

export const prepare = Effect.fnUntraced(function*(
  { headers, keyOf, incoming, join, model, place, protocol, response, runs }: Preparation,
  call: Call,
  known?: Key
): Effect.fn.Return<Prepared, SampleError | BadBody | RunInUse> {
  const key = known ?? (yield* keyOf(call.model, call.form, place.forks))
  const run = place.run === undefined ? undefined : yield* runs.use(place.run)
  const delivery = new Delivery({
    model: run !== undefined && place.independent ? yield* run.model(place, key) : model,
    key,
    n: call.n,
    trace: run?.trace,
    racer: place.independent ? run?.races.begin(key) : undefined,
    place: place.independent ? placeName(place) : undefined
  })
  delivery.watch(response)
  const draw: Prepared["draw"] = (onPieces) => {
    const drawn = delivery.draw.pipe(
      Effect.provideService(CurrentCall, { protocol, call, headers, query: passedQuery(incoming.url), join, onPieces }),
      place.replication ? Effect.provideService(CurrentReplication, true) : (self) => self
    )
    return run === undefined ? drawn : Effect.provideService(drawn, Events.Events, run.events)
  }
  return {
    draw,
    giveBack: delivery.giveBack,
    cacheStatus: () => delivery.cacheStatus,
    headers: () => {
      const { asked, cacheStatus, positions } = delivery
      const known = positions.length > 0 || asked === undefined ? positions : [asked]
      return cacheHeaders(cacheStatus, known, key.promptHash)
    }
  }
})

/** The headers that tell where samples come from. A response that begins before its draw does not know the positions. */
export const cacheHeaders = (cacheStatus: string, positions: ReadonlyArray<number>, promptHash: string) => ({
  "cache-status": cacheStatus,
  ...positions.length > 0 ? { "llm-cache-positions": positions.join(",") } : undefined,
  "llm-cache-prompt": promptHash
})

/** Draws for a list of prompts. Equal prompts are one draw of more samples, so that all of them are independent. */
const prepareParts = Effect.fnUntraced(function*(
  completion: Completion,
  calls: ReadonlyArray<Call>
): Effect.fn.Return<Prepared, SampleError | BadBody | RunInUse> {
  const byPrompt = Map.groupBy(calls, ({ form }) => form.prompt)
  const prepared = yield* Effect.forEach(
    byPrompt.values(),
    (equal) =>
      Effect.map(
        prepare(completion, { ...equal[0]!, n: equal.length * equal[0]!.n }),
        (prepared) => [equal, prepared] as const
      )
  )
  const giveBack = Effect.forEach(prepared, ([, { giveBack }]) => giveBack, { discard: true })
  const draw = Effect.forEach(
    prepared,
    ([equal, { draw }]) =>
      Effect.map(draw(), ({ positions, promptHash, samples }) =>
        equal.map((call, i): [Call, Answered] => {
          const range = [i * call.n, (i + 1) * call.n] as const
          return [call, { samples: samples.slice(...range), positions: positions.slice(...range), promptHash }]
        })),
    { concurrency: "unbounded" }
  ).pipe(
    Effect.map((drawn) => {
      const answers = new Map(drawn.flat())
      const inOrder = calls.map((call) => answers.get(call)!)
      return {
        samples: inOrder.flatMap(({ samples }) => samples),
        positions: inOrder.flatMap(({ positions }) => positions),
        promptHash: inOrder[0]!.promptHash
      }
    }),
    Effect.onError(() => giveBack)
  )
  const cacheStatus = () => cacheStatusOf(prepared.map(([, { cacheStatus }]) => cacheStatus()))
  return { draw: () => draw, giveBack, cacheStatus, headers: () => ({ "cache-status": cacheStatus() }) }
})

/** The status of several draws together. */
export const cacheStatusOf = (all: ReadonlyArray<string>): string => {
  const [first = ""] = all
  const missed = all.find((status) => /fwd=/.test(status))
  return missed === undefined || all.every((status) => status === first)
    ? first
    : missed.replace(/fwd=\w+/, "fwd=partial")
}

const whole = ({ protocol }: Completion, call: Call, prepared: Prepared) =>
  Effect.map(prepared.draw(), (answered) => response(protocol, call, answered, prepared))

const response = (protocol: Protocol, call: Call, answered: Answered, prepared: Prepared) => {
  const { headers, text } = answerOf(protocol, call, answered)
  return HttpServerResponse.text(text, { headers: { ...headers, ...prepared.headers() } })
}

/** The text and the headers of an answer with all its samples. */
export const answerOf = (protocol: Protocol, call: Call, answered: Answered) =>
  call.isStreamed
    ? {
      text: writer(protocol)([...protocol.events(call, answered), ...protocol.lastEvents(call, answered)]),
      headers: { "content-type": "text/event-stream", ...streamHeaders }
    }
    : {
      text: JSON.stringify(protocol.answer(call, answered)),
      headers: { "content-type": "application/json" }
    }

type Message =
  | { readonly _tag: "Pieces"; readonly events: ReadonlyArray<StreamEvent> }
  | { readonly _tag: "Done"; readonly exit: Exit.Exit<Answered, SampleError> }

/** How long a client waits without a byte. */
const keepAlive = Duration.seconds(10)

const stream = Effect.fnUntraced(function*(
  { protocol }: Completion,
  call: Call,
  prepared: Prepared
): Effect.fn.Return<HttpServerResponse.HttpServerResponse, SampleError> {
  const queue = yield* Queue.unbounded<Message>()
  const textOf = writer(protocol)
  const onPieces = (events: ReadonlyArray<StreamEvent>) => Queue.offerUnsafe(queue, { _tag: "Pieces", events })
  // The pieces of one sample among several would be those of the first choice.
  const drawn = Effect.exit(prepared.draw(call.n === 1 ? onPieces : undefined))
  // It ends with the fiber that writes the response, which ends when the client goes away.
  yield* Effect.forkChild(Effect.map(drawn, (exit) => Queue.offerUnsafe(queue, { _tag: "Done", exit })), {
    startImmediately: true
  })
  // All waiting messages go out in one piece: each piece has a head of its own.
  const next = Effect.timeoutOption(Queue.takeAll(queue), keepAlive)
  const first = yield* next
  if (Option.isSome(first) && first.value[0]._tag === "Done") {
    return response(protocol, call, yield* first.value[0].exit, prepared)
  }
  let hasPieces = false
  let isDone = false
  const write = (message: Message): string => {
    if (message._tag === "Pieces") {
      hasPieces = true
      return textOf(message.events)
    }
    isDone = true
    return Exit.match(message.exit, {
      onFailure: (cause) => {
        const error = cause.reasons.find((reason) => reason._tag === "Fail")?.error
        const failure: ToldFailure = error === undefined ? unknownFailure : toFailure(error)
        return textOf([failureEvent(protocol, failure)])
      },
      onSuccess: (answered) =>
        textOf([...hasPieces ? [] : protocol.events(call, answered), ...protocol.lastEvents(call, answered)])
    })
  }
  const texts = Stream.unfold<typeof first | undefined, Uint8Array, never, never>(first, (begun) =>
    isDone
      ? Effect.succeed(undefined)
      : Effect.map(begun === undefined ? next : Effect.succeed(begun), (messages) => {
        const text = Option.isNone(messages) ? ": keep-alive\n\n" : messages.value.map(write).join("")
        return [encoder.encode(text), undefined] as const
      }))
  return HttpServerResponse.stream(texts, {
    contentType: "text/event-stream",
    headers: { ...streamHeaders, ...prepared.headers() }
  })
})

const encoder = new TextEncoder()

const streamHeaders = { "cache-control": "no-cache", "x-accel-buffering": "no" }

export const unknownFailure: ToldFailure = {
  status: 500,
  message: "the server failed; its log has the cause",
  code: "internal_error",
  headers: { "x-should-retry": "false" }
}

/** An upstream's own words go into the event, if they are an object of the protocol. */
const failureEvent = (protocol: Protocol, failure: ToldFailure): StreamEvent =>
  protocol.failureEvent(failure, objectOf(failure.told?.body ?? ""))

/** Writes the events of one stream. */
const writer = ({ withNumber = (data) => data }: Protocol) => {
  let number = 0
  return (events: ReadonlyArray<StreamEvent>): string =>
    events.map(({ data, event }) =>
      `${event === undefined ? "" : `event: ${event}\n`}data: ${withNumber(data, number++)}\n\n`
    ).join("")
}
