import * as Retry from "@llm-cache/core/Retry"
import { type ProviderErrorReason, Timeout } from "@llm-cache/core/SampleError"
import type * as Response from "effect/ai/Response"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type { HttpClient } from "effect/http/HttpClient"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"
import { asObjects, type JsonObject, parseObject } from "../protocol/json.ts"
import type { Answer } from "../protocol/protocol.ts"
import { readObject } from "../protocol/readObject.ts"
import { failCut, failError, failUnusable, failWithoutAnswer } from "../protocol/unusableAnswer.ts"
import * as ErrorReason from "../request/errorReason.ts"
import { execute, failResponse, isSuccess, longestAnswerInBytes, tooLong } from "../request/sendRequest.ts"
import { isText, unpack } from "../request/unpack.ts"
import type { AnswerEnd, AnswerReader } from "./answerParts.ts"

type Parts = ReadonlyArray<Response.StreamPartEncoded>

/** Reads a whole answer. A server may send a stream of events, although none was asked for. */
export const readWhole = (answer: Answer, reader: AnswerReader): Effect.Effect<Parts, ProviderErrorReason> =>
  Effect.flatMap(
    readObject(answer, (events, isDone) => isDone || events.some(isLast) ? { events } : undefined),
    (read) => {
      if (!("events" in read)) return readCompletion(read, answer, reader)
      return Effect.map(
        Effect.forEach(
          read["events"] as ReadonlyArray<JsonObject>,
          (event) => Effect.fromResult(reader.read(event, answer))
        ),
        (parts) => parts.flat()
      )
    }
  )

const isLast = (event: JsonObject): boolean =>
  (asObjects(event["choices"]) ?? []).some(({ finish_reason }) => typeof finish_reason === "string")

const readCompletion = (
  completion: JsonObject,
  answer: Answer,
  reader: AnswerReader
): Effect.Effect<Parts, ProviderErrorReason> => {
  if (completion["error"]) return failError(completion, answer)
  return (asObjects(completion["choices"]) ?? []).length === 0
    ? failWithoutAnswer("the answer has no choices", answer)
    : Effect.fromResult(reader.read(completion, answer))
}

/** Sends a request, and hands out the parts of its answer as they come. */
export const streamAnswer = Effect.fnUntraced(function*(
  client: HttpClient,
  request: HttpClientRequest,
  idleTimeout: Duration.Duration,
  details: ErrorReason.RequestDetails,
  reader: AnswerReader,
  emit: (parts: Parts) => Effect.Effect<void>
): Effect.fn.Return<AnswerEnd, ProviderErrorReason> {
  const idle = () => idleFor(idleTimeout, details)
  const response = yield* Retry.within(execute(client, request, details), idleTimeout, idle)
  if (!isSuccess(response, details)) return yield* Retry.within(failResponse(response, details), idleTimeout, idle)
  const body = makeBody(response, details, reader, emit)
  yield* response.stream.pipe(
    Stream.mapError((error) => ErrorReason.fromClientError(error, details)),
    Stream.timeoutOrElse({ duration: idleTimeout, orElse: () => Stream.fail(idle()) }),
    // The model was done, and only the end of the connection is missing.
    Stream.catch((reason) => reader.isFinished() ? Stream.empty : Stream.fail(reason)),
    Stream.runForEachWhile(body.feed)
  )
  yield* body.end
  const { end, parts } = yield* Effect.fromResult(reader.end(body.answer()))
  if (parts.length > 0) yield* emit(parts)
  return end
})

const idleFor = (idleTimeout: Duration.Duration, { url }: ErrorReason.RequestDetails): ProviderErrorReason =>
  new Timeout({
    description: `${url} sent nothing for ${Duration.format(idleTimeout)}: give a longer \`idleTimeout\``
  })

type Form = "events" | "whole"

// A body is a stream of events, unless its first character says that it is JSON or a web page.
const formOf = (text: string): Form | undefined => {
  const first = text.trimStart()[0]
  return first === undefined ? undefined : "{[<".includes(first) ? "whole" : "events"
}

const makeBody = (
  response: HttpClientResponse,
  details: ErrorReason.RequestDetails,
  reader: AnswerReader,
  emit: (parts: Parts) => Effect.Effect<void>
) => {
  const { status } = response
  const encoding = response.headers["content-encoding"] ?? "identity"
  const decoder = new TextDecoder()
  const packed: Array<Uint8Array> = []
  const events: Array<Sse.Event> = []
  const parser = Sse.makeParser((event) => event._tag === "Event" && events.push(event), {
    maxEventSize: longestAnswerInBytes
  })
  let isPacked: boolean | undefined
  let length = 0
  let form: Form | undefined
  let text = ""
  let lastWords = ""
  let isDone = false

  const answer = (): Answer => ({ body: lastWords, status, request: details })

  const readEvent = ({ data, event }: Sse.Event, isCut: boolean): Effect.Effect<void, ProviderErrorReason> => {
    if (data.trim() === "[DONE]") {
      isDone = true
      return Effect.void
    }
    if (data.trim() === "") return Effect.void
    lastWords = data
    const chunk = parseObject(data)
    if (chunk === undefined) {
      // The model was done, and only the usage or [DONE] is cut.
      if (isCut && reader.isFinished()) return Effect.void
      return isCut
        ? failCut(answer())
        : failUnusable("the answer is a stream with an event that is no JSON object", answer())
    }
    if (chunk["error"] || event === "error") {
      return failError(event === "error" ? { error: chunk, ...chunk } : chunk, answer())
    }
    return Effect.flatMap(
      Effect.fromResult(reader.read(chunk, answer())),
      (parts) => parts.length === 0 ? Effect.void : emit(parts)
    )
  }

  const readEvents = (isCut: boolean): Effect.Effect<boolean, ProviderErrorReason> =>
    Effect.suspend(() => {
      const event = isDone ? undefined : events.shift()
      return event === undefined
        ? Effect.succeed(!isDone)
        : Effect.flatMap(readEvent(event, isCut), () => readEvents(isCut))
    })

  const feedText = (piece: string): Effect.Effect<boolean, ProviderErrorReason> => {
    if (form !== "events") {
      text += piece
      form ??= formOf(text)
      if (form !== "events") return Effect.succeed(true)
      piece = text.trimStart()
      text = ""
    }
    return parser.feed(piece) === undefined ? readEvents(false) : Effect.fail(tooLong(status, details))
  }

  return {
    answer,
    /** Reads a piece, and says whether more may come. */
    feed: (piece: Uint8Array): Effect.Effect<boolean, ProviderErrorReason> => {
      length += piece.length
      if (length > longestAnswerInBytes) return Effect.fail(tooLong(status, details))
      // A client may have unpacked the body, and left its header.
      isPacked ??= encoding !== "identity" && !isText(piece)
      if (!isPacked) return feedText(decoder.decode(piece, { stream: true }))
      packed.push(piece)
      return Effect.succeed(true)
    },
    end: Effect.gen(function*() {
      if (isPacked === true) {
        const bytes = yield* Effect.mapError(
          unpack(Buffer.concat(packed), encoding, longestAnswerInBytes),
          (failure) => failure === "TooLong" ? tooLong(status, details) : ErrorReason.fromCutBody(status, details)
        )
        yield* feedText(decoder.decode(bytes, { stream: true }))
      }
      yield* feedText(decoder.decode())
      if (form !== "events") {
        lastWords = text
        const parts = yield* readWhole(answer(), reader)
        if (parts.length > 0) yield* emit(parts)
        return
      }
      // The last event may have no empty line behind it.
      parser.feed("\n\n")
      yield* readEvents(true)
      if (!isDone && !reader.isFinished()) return yield* endOfWords(answer())
    })
  }
}

const endOfWords = (answer: Answer) =>
  answer.body === "" ? failUnusable("the answer has no events", answer) : failCut(answer)
