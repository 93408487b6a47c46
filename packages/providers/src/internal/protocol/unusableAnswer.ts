import { ContentPolicy, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import { quoteServer } from "../request/errorReason.ts"
import type { Answer } from "./protocol.ts"

/** Fails for an answer without samples. */
export const failUnusable = (problem: string, { body, request, status }: Answer) =>
  Effect.fail(new UnusableResponse({ description: problem + quoteServer(body, request.excerpt), status }))

/** Fails for an answer that is not JSON. */
export const failNotJson = (answer: Answer) =>
  failUnusable("the answer is not a JSON object: check `baseUrl`, which may be the URL of a web page", answer)

/** Fails for an answer that is an error despite its status. */
export const failError = (answer: Answer) => failUnusable("the answer is an error with a success status", answer)

/** Fails for an answer that the model or a filter withheld. */
export const failWithheld = (refusal: string | undefined, { request, status }: Answer) =>
  Effect.fail(
    new ContentPolicy({
      description: `the provider's content policy withheld the answer: change the prompt${
        refusal ? `. The model says: ${request.excerpt(refusal)}` : ""
      }`,
      status
    })
  )

/** Fails for an answer with no text in it. */
export const failWithoutText = (
  subject: string,
  finishReasons: ReadonlyArray<string | undefined>,
  tokenLimit: string,
  answer: Answer
) => {
  const reasons = [...new Set(finishReasons)].filter((reason) => reason !== undefined).join(", ")
  return failUnusable(
    `${subject} has a text (finish reason: ${answer.request.excerpt(reasons) || "none"}): ` +
      `check the parameters, such as \`${tokenLimit}\``,
    answer
  )
}
