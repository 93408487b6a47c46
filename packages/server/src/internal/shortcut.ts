import type { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { JsonObject } from "@llm-cache/core/Sample"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Http from "node:http"
import type { Place } from "../Place.ts"
import type { Answered, Protocol } from "../Protocol.ts"
import { keepBody, type KeyedCall } from "./body.ts"
import { answerOf, cacheHeaders } from "./complete.ts"
import { completionOf } from "./dispatch.ts"
import { type Guard, passedHeaders, refusalOf } from "./guard.ts"
import { objectOf } from "./json.ts"
import type { KeyOf } from "./keys.ts"

/** The longest body that is read before `next`, in bytes. */
const longest = 1024 * 1024

/** Answers a request, or calls `next`. */
export type Shortcut = (incoming: Http.IncomingMessage, response: Http.ServerResponse, next: () => void) => void

interface Options {
  readonly model: LlmModel.Model
  readonly guard: Guard
  readonly keyOf: KeyOf
}

/**
 * Makes the short way of recorded samples: it answers in the step in which the body of a request ends, without a fiber and
 * Effect's HTTP server, which take longer than all the rest (rows `server` and `server-64` of the benchmark). Every other
 * request goes to `next`, which tells of errors too.
 */
export const makeShortcut = Effect.fnUntraced(function*({ guard, keyOf, model }: Options) {
  const runSync = Effect.runSyncExitWith(yield* Effect.context())

  /** A request for samples of one key, with the samples if all are recorded. `undefined` if it is another one or none. */
  const lookUp = (body: JsonObject, headers: Http.IncomingHttpHeaders, protocol: Protocol, { forks }: Place) => {
    try {
      const call = Result.getOrUndefined(protocol.read(body, passedHeaders(headers, guard.token)))
      if (call === undefined || call.parts !== undefined) return undefined
      const { form, model: name, n } = call
      const exit = runSync(Effect.flatMap(
        keyOf(name, form, forks),
        (key) => Effect.map(LlmModel.peek(model, key, n), (samples) => ({ call, key, samples }))
      ))
      return Exit.isSuccess(exit) ? exit.value : undefined
    } catch {
      return undefined
    }
  }

  const answerTo = ({ call, key }: KeyedCall, samples: LlmModel.Samples, protocol: Protocol) => {
    try {
      const found = answered(key, samples)
      const { headers, text } = answerOf(protocol, call, found)
      return { text, headers: { ...headers, ...cacheHeaders("llm-cache; hit", found.positions, found.promptHash) } }
    } catch {
      return undefined
    }
  }

  const shortcut: Shortcut = (incoming, response, next) => {
    const { headers } = incoming
    const completion = completionOf(incoming)
    if (
      // A run notes its draws.
      completion === undefined || completion.place.run !== undefined ||
      headers["content-encoding"] !== undefined ||
      !/^application\/json\b/.test(headers["content-type"] ?? "") ||
      !(Number(headers["content-length"]) <= longest) ||
      refusalOf(incoming, guard) !== undefined
    ) {
      return next()
    }
    const { place, protocol } = completion
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const body = objectOf(bytes.toString())
      const keyed = body && lookUp(body, headers, protocol, place)
      const answer = keyed?.samples && answerTo(keyed, keyed.samples, protocol)
      if (answer === undefined) {
        keepBody(incoming, { bytes, body, keyed })
        return next()
      }
      response.writeHead(200, { ...answer.headers, "content-length": Buffer.byteLength(answer.text) })
      // As a text it goes out with the head, in one piece.
      response.end(answer.text)
    })
  }
  return shortcut
})

const answered = ({ promptHash }: Key, samples: LlmModel.Samples): Answered => ({
  samples,
  positions: samples.map(({ origins }, i) => origins[0] ?? i),
  promptHash
})
