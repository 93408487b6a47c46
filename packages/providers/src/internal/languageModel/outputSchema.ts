import { UnsupportedSchemaError } from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import * as Tool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import type * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"

/** JSON Schemas of structured output and of tools, each made once. */
export interface Schemas {
  readonly codecTransformer: LanguageModel.CodecTransformer
  /** The JSON Schema of an object. Throws an `UnsupportedSchemaError` for a schema that has none. */
  readonly ofObject: (schema: Schema.Top) => JsonSchema.JsonSchema
  readonly ofTool: (tool: Tool.Any) => JsonSchema.JsonSchema
  /** The parameters of a call in the form that the tool takes, if the model kept to the JSON Schema. */
  readonly toParams: (tool: Tool.Any, params: unknown) => Effect.Effect<unknown>
}

/** Makes the JSON Schemas of a model. Strict ones keep to the subset of JSON Schema that OpenAI enforces. */
export const makeSchemas = (isStrict: boolean): Schemas => {
  const transform: LanguageModel.CodecTransformer = isStrict ? toCodecOpenAI : (schema) => ({
    jsonSchema: LanguageModel.defaultCodecTransformer(schema).jsonSchema,
    // The JSON Schema allows `null` for an optional field, and the schema itself does not.
    codec: Schema.toCodecJson(schema)
  })
  const objects = new WeakMap<object, ReturnType<LanguageModel.CodecTransformer>>()
  const tools = new WeakMap<Tool.Any, ToolSchema>()
  const schemaOf = (tool: Tool.Any) => {
    let made = tools.get(tool)
    if (made === undefined) {
      made = makeToolSchema(tool)
      tools.set(tool, made)
    }
    return made
  }
  const codecTransformer: LanguageModel.CodecTransformer = (schema) => {
    let made = objects.get(schema)
    if (made === undefined) {
      made = transform(schema)
      objects.set(schema, made)
    }
    // One schema has one codec, whose types the map does not know.
    return made as never
  }
  return {
    codecTransformer,
    ofObject: (schema) => {
      try {
        return codecTransformer(schema as unknown as AnyCodec).jsonSchema
      } catch (error) {
        throw new UnsupportedSchemaError({ description: `${messageOf(error)}: wrap the schema in a struct` })
      }
    },
    ofTool: (tool) => schemaOf(tool).jsonSchema,
    toParams: (tool, params) => schemaOf(tool).toParams(params)
  }
}

interface ToolSchema {
  readonly jsonSchema: JsonSchema.JsonSchema
  readonly toParams: (params: unknown) => Effect.Effect<unknown>
}

type AnyCodec = Schema.ConstraintCodec<unknown, unknown>

const makeToolSchema = (tool: Tool.Any): ToolSchema => {
  const schema = tool.parametersSchema
  // A dynamic tool has a JSON Schema of its own.
  if (Tool.isDynamic(tool) || !Schema.isSchema(schema)) {
    return { jsonSchema: Tool.getJsonSchema(tool), toParams: Effect.succeed }
  }
  const own = schema as unknown as AnyCodec
  try {
    const isStrict = Tool.getStrictMode(tool) === true
    const { codec, jsonSchema } = isStrict
      ? toCodecOpenAI(own)
      : { codec: Schema.toCodecJson(own) as AnyCodec, jsonSchema: Tool.getJsonSchema(tool) }
    const isOwn = Schema.decodeUnknownEffect(own)
    const decode = Schema.decodeUnknownEffect(codec)
    const encode = Schema.encodeEffect(own)
    return {
      jsonSchema,
      // The fields keep the order in which the model wrote them, unless JSON has another form for them.
      toParams: (params) =>
        isOwn(params).pipe(
          Effect.as(params),
          Effect.catchCause(() => Effect.flatMap(decode(params), encode)),
          Effect.catchCause(() => Effect.succeed(params))
        )
    }
  } catch (error) {
    throw new UnsupportedSchemaError({
      description: `the parameters of the tool \`${tool.name}\` have no JSON Schema: ${messageOf(error)}`
    })
  }
}

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)
