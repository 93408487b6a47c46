import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A field that is not what its protocol says counts as absent: it must not cost the samples that were paid for. */
export const optional = <S extends Schema.Constraint>(schema: S) =>
  Schema.optionalKey(schema).pipe(Schema.catchDecoding(() => Effect.succeedNone))

/** The same for an item of a list: one that is not what its protocol says counts as one without fields. */
export const empty = Effect.succeedSome({})

/** A count of tokens. */
export const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** A part of an answer's text, or something else beside it. */
const Part = Schema.Struct({ type: optional(Schema.String), text: optional(Schema.String) })

/** A text in parts. */
export const Parts = Schema.Array(Part.pipe(Schema.catchDecoding(() => empty)))

/** The texts of the parts that are texts, joined. `undefined` where none is. */
export const textOf = (parts: typeof Parts.Type): string | undefined => {
  const texts = parts.flatMap(({ text, type }) => type === "text" && text !== undefined ? [text] : [])
  return texts.length === 0 ? undefined : texts.join("")
}
