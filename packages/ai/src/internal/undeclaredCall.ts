import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"

/** A call of a tool that the request did not offer: the index of its part, and its error. */
export interface UndeclaredCall {
  readonly index: number
  readonly error: AiError.AiError
}

/**
 * Finds the first call of a tool that the request did not offer. Providers fail with this error unless they are told to defer
 * it, as they are beneath a cache: the answer is a sample.
 */
export const findUndeclaredCall = (
  { toolCallValidation, tools }: LanguageModel.ProviderOptions,
  method: "generateText" | "streamText",
  parts: ReadonlyArray<Response.AnyPartEncoded>
): UndeclaredCall | undefined => {
  if (toolCallValidation === "deferred") return undefined
  const index = parts.findIndex((part) =>
    part.type === "tool-call" && part.providerExecuted !== true && !tools.some(({ name }) => name === part.name)
  )
  const call = parts[index]
  if (call?.type !== "tool-call") return undefined
  const reason = new AiError.ToolNotFoundError({
    toolName: call.name,
    availableTools: tools.map(({ name }) => name)
  })
  return { index, error: AiError.make({ module: "LanguageModel", method, reason }) }
}
