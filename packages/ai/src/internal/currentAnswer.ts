import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type { AnswerObject } from "../ModelAnswer.ts"

/** The object of the answer that a call of `generateObject` got. Each call has a cell of its own. */
export const CurrentAnswer = Context.Reference<{ object?: AnswerObject | undefined } | undefined>(
  "@llm-cache/ai/CurrentAnswer",
  { defaultValue: () => undefined }
)

/**
 * Makes codecs that decode every text to the object of the answer: only the provider knows how to decode the text.
 * Without an object they are the default codec. Each schema has its codec made once.
 */
export const makeReplayedCodecs = (): LanguageModel.CodecTransformer => {
  const made = new WeakMap<object, ReturnType<LanguageModel.CodecTransformer>>()
  return (schema) => {
    let codec = made.get(schema)
    if (codec === undefined) made.set(schema, codec = replayedCodec(schema as unknown as Schema.Codec<unknown>))
    return codec as never
  }
}

const replayedCodec = (schema: Schema.Codec<unknown>): ReturnType<LanguageModel.CodecTransformer> => {
  const { codec, jsonSchema } = LanguageModel.defaultCodecTransformer(schema)
  const decodeText = SchemaParser.decodeUnknownEffect(codec)
  const decodeObject = SchemaParser.decodeUnknownEffect(Schema.toCodecJson(schema))
  const replayed = Schema.Unknown.pipe(Schema.decodeTo(Schema.toType(schema), {
    decode: SchemaGetter.transformEffect((text: unknown, options) =>
      Effect.flatMap(CurrentAnswer, (cell) => {
        const object = cell?.object
        if (object === undefined) return decodeText(text, options)
        return object._tag === "Value"
          ? decodeObject(object.value, options)
          : Effect.fail(new SchemaIssue.InvalidValue({ message: object.description }, text, options))
      })
    ),
    encode: SchemaGetter.forbidden(() => "it only decodes")
  }))
  return { codec: replayed, jsonSchema }
}

/** The error of the first run, with the words of the provider's codec. Other errors are those of tools, as of an agent in one. */
export const replayedError = <E>(error: E, object: AnswerObject | undefined): E | AiError.AiError =>
  object?._tag === "Error" && AiError.isAiError(error) && error.reason._tag === "StructuredOutputError" &&
    error.reason.responseText === object.responseText
    ? AiError.make({
      module: error.module,
      method: error.method,
      reason: new AiError.StructuredOutputError({
        description: object.description,
        responseText: object.responseText
      })
    })
    : error
