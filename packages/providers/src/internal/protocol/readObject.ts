import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import { readEventStream } from "./eventStream.ts"
import { asObjects, isCutJson, type JsonObject, parseJson, parseObject } from "./json.ts"
import type { Answer } from "./protocol.ts"
import { failCut, failUnusable } from "./unusableAnswer.ts"

/** The events of a stream as a whole answer, if they are all there. */
export type JoinEvents<A = JsonObject> = (events: ReadonlyArray<JsonObject>, isDone: boolean) => A | undefined

/** Reads an answer that is a JSON object, or a stream of its pieces, which some servers send unasked. */
export const readObject = <A = JsonObject>(
  answer: Answer,
  joinEvents: JoinEvents<A>
): Effect.Effect<JsonObject | A, ProviderErrorReason> => {
  const { body } = answer
  const object = parseObject(body) ?? errorInList(body)
  if (object !== undefined) return Effect.succeed(object)
  const stream = readEventStream(body)
  if (stream === undefined) return failNotJson(answer)
  if (stream.isMalformed) return failUnusable("the answer is a stream with an event that is no JSON object", answer)
  const joined = stream.events.find(({ error }) => error) ?? joinEvents(stream.events, stream.isDone)
  return joined === undefined ? failCut(answer) : Effect.succeed(joined)
}

// Gemini's endpoint for OpenAI's protocol puts its errors into a list.
const errorInList = (body: string): JsonObject | undefined =>
  body.startsWith("[") ? asObjects(parseJson(body))?.find(({ error }) => error) : undefined

/** Fails for an answer that is not JSON. */
export const failNotJson = (answer: Answer) => {
  const { body, request: { urlOption } } = answer
  if (/^\s*</.test(body)) {
    return failUnusable(`the answer is a web page, or another document: check \`${urlOption}\``, answer)
  }
  return isCutJson(body)
    ? failCut(answer)
    : failUnusable(`the answer is not a JSON object: check \`${urlOption}\``, answer)
}
