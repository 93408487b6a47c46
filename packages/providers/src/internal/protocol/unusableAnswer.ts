import { UnusableResponse } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as ErrorReason from "../request/errorReason.ts"
import type { JsonObject } from "./json.ts"
import type { Answer } from "./protocol.ts"

/** Fails for an answer without samples. */
export const failUnusable = (problem: string, answer: Answer) => Effect.fail(unusable(problem, answer))

/** The reason of an answer without samples, or of a part of it. */
export const unusable = (problem: string, { body, request, status }: Answer) =>
  new UnusableResponse({ description: problem + ErrorReason.quoteServer(body, request.excerpt), status })

/** Fails for an answer of another form, which is mostly an error of a gateway. */
export const failWithoutAnswer = (problem: string, answer: Answer) =>
  Effect.fail(
    ErrorReason.fromErrorInBody(answer.body, answer.status, answer.request) ?? unusable(problem, answer)
  )

/** Fails for an answer that ends before its end. */
export const failCut = ({ request, status }: Answer) => Effect.fail(ErrorReason.fromCutBody(status, request))

/** Fails for an answer that is an error despite its status. */
export const failError = ({ code, error, type }: JsonObject, { request, status }: Answer) => {
  // The texts of samples beside the error are left out: they must not decide what kind of error it is.
  const body = JSON.stringify({ code, error, type })
  return Effect.fail(
    ErrorReason.fromErrorInBody(body, status, request) ??
      unusable("the answer is an error with a success status", { body, request, status })
  )
}

/** The reason of a sample that the server marks as failed. */
export const failedPart = ({ error, finish_reason }: JsonObject, { request, status }: Answer) => {
  const body = JSON.stringify(error ? { error } : { finish_reason })
  return ErrorReason.fromErrorInBody(body, status, request) ?? ErrorReason.fromBrokenAnswer(body, status, request)
}
