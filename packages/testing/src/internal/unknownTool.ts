import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Stream from "effect/Stream"
import type { Piece } from "./languageModelParts.ts"

/** The error of providers for a call of a tool that was not offered, unless `toolCallValidation` is `"deferred"`. */
export const unknownTool = (
  { toolCallValidation, tools }: LanguageModel.ProviderOptions,
  method: string,
  part: Piece
): AiError.AiError | undefined =>
  part.type !== "tool-call" || part.providerExecuted === true || toolCallValidation === "deferred" ||
    tools.some(({ name }) => name === part.name)
    ? undefined
    : AiError.make({
      module: "LanguageModel",
      method,
      reason: new AiError.ToolNotFoundError({ toolName: part.name, availableTools: tools.map(({ name }) => name) })
    })

/** A stream up to the first call of such a tool. */
export const checked = (
  options: LanguageModel.ProviderOptions,
  stream: Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
) => {
  let error: AiError.AiError | undefined
  const isRefused = (part: Piece) => (error = unknownTool(options, "streamText", part)) !== undefined
  return Stream.concat(
    Stream.takeUntil(stream, isRefused, { excludeLast: true }),
    Stream.suspend(() => error === undefined ? Stream.empty : Stream.fail(error))
  )
}
