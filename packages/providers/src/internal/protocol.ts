import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

// A field that is not what the protocol says counts as absent: it must not cost the samples that were paid for.
const optional = <S extends Schema.Constraint>(schema: S) =>
  Schema.optionalKey(schema).pipe(Schema.catchDecoding(() => Effect.succeedNone))

// The same for an item of a list.
const empty = () => Effect.succeedSome({})

const Part = Schema.Struct({ type: optional(Schema.String), text: optional(Schema.String) })

const Message = Schema.Struct({
  content: optional(Schema.Union([Schema.String, Schema.Array(Part.pipe(Schema.catchDecoding(empty)))])),
  refusal: optional(Schema.String)
})

const Choice = Schema.Struct({
  message: optional(Message),
  finish_reason: optional(Schema.String),
  error: optional(Schema.Unknown)
})

/** A choice of a completion. */
export type Choice = typeof Choice.Type

/**
 * The answer to `POST /chat/completions`, from https://platform.openai.com/docs/api-reference/chat/object, with what
 * other servers make of it: a text in parts, an error beside or in place of the choices.
 */
export const Completion = Schema.fromJsonString(Schema.Struct({
  model: optional(Schema.String),
  choices: optional(Schema.Array(Choice.pipe(Schema.catchDecoding(empty)))),
  usage: optional(Schema.Struct({
    prompt_tokens: optional(Schema.Finite),
    completion_tokens: optional(Schema.Finite)
  })),
  error: optional(Schema.Unknown)
}))

const problem = {
  message: optional(Schema.String),
  code: optional(Schema.Union([Schema.String, Schema.Finite])),
  type: optional(Schema.String)
}

/** What servers answer in place of a completion: `{"error": {"message"}}`, `{"error"}`, `{"message"}`, `{"detail"}`. */
export const Problem = Schema.fromJsonString(Schema.Struct({
  ...problem,
  detail: optional(Schema.String),
  error: optional(Schema.Union([Schema.String, Schema.Struct(problem)]))
}))
