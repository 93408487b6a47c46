import type { Generation } from "@llm-cache/core/LlmModel"
import { ContentPolicy, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { says } from "./failure.ts"
import { type Choice, Completion } from "./protocol.ts"
import type { Quote } from "./quote.ts"

const decode = Schema.decodeUnknownOption(Completion)

/** The samples of an answer with a status of success. */
export const generation = (
  body: string,
  status: number,
  quote: Quote
): Effect.Effect<Generation, ContentPolicy | UnusableResponse> => {
  const unusable = (what: string) =>
    Effect.fail(new UnusableResponse({ description: what + says(body, quote), status }))
  const completion = Option.getOrUndefined(decode(body))
  if (completion === undefined) {
    return unusable("the answer is not a JSON object: check `baseUrl`, which may be that of a web page")
  }
  const { choices = [], error, model, usage } = completion
  if (error) return unusable("the answer is an error, though its status is one of success")
  const samples = choices.flatMap((choice) => {
    const text = textOf(choice)
    return text === undefined ? [] : [{ text, finishReason: choice.finish_reason }]
  })
  if (samples.length > 0) {
    return Effect.succeed({
      samples,
      model,
      inputTokens: usage?.prompt_tokens,
      outputTokens: usage?.completion_tokens
    })
  }
  const refused = choices.find(({ finish_reason, message }) => message?.refusal || finish_reason === "content_filter")
  if (refused !== undefined) {
    const refusal = refused.message?.refusal
    return Effect.fail(
      new ContentPolicy({
        description: `the provider's content policy withheld the answer: change the prompt${
          refusal ? `. The model says: ${quote(refusal)}` : ""
        }`,
        status
      })
    )
  }
  const reasons = new Set(choices.flatMap(({ finish_reason }) => finish_reason ?? []))
  return unusable(
    choices.length === 0
      ? "the answer has no choices"
      : `no choice of the answer has a text (finish reason: ${quote([...reasons].join(", ")) || "none"}): ` +
        "check the parameters, such as `max_tokens`"
  )
}

// The text parts of a content in parts are one text. What a server marks as failed is not a sample.
const textOf = ({ error, message }: Choice): string | undefined => {
  const content = error ? undefined : message?.content
  if (content === undefined || typeof content === "string") return content
  const texts = content.flatMap(({ text, type }) => type === "text" && text !== undefined ? [text] : [])
  return texts.length === 0 ? undefined : texts.join("")
}
