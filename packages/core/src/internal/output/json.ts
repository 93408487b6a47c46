import * as Effect from "effect/Effect"
import { failed, type OutputError, OutputRenderError } from "./errors.ts"
import type { Undecoded } from "./reader.ts"
import type { Json, Node } from "./spec.ts"

// It is large, and a program that reads and writes no JSON need not load it.
const loadSchema = Effect.promise(() => import("effect/Schema"))

/** Puts what the JSON values of a text are decoded to in the places of their texts. */
export const decodeJson = Effect.fnUntraced(function*(
  text: string,
  undecoded: ReadonlyArray<Undecoded>
): Effect.fn.Return<void, OutputError> {
  const { decodeUnknownEffect, toCodecJson } = yield* loadSchema
  for (const { json, offset, path, schema, set } of undecoded) {
    const fail = (cause: Error) =>
      Effect.fail(failed(text, {
        expected: "JSON of the schema",
        found: cause.message.replace(/\n\s*/g, " "),
        offset,
        path,
        cause
      }))
    set(
      yield* decodeUnknownEffect(toCodecJson(schema))(json).pipe(
        Effect.catchTag("SchemaError", fail),
        // JSON that is nested more deeply than the stack
        Effect.catchDefect((defect) => defect instanceof RangeError ? fail(defect) : Effect.die(defect))
      )
    )
  }
})

/** The value with the text of each JSON value in its place. */
export const encodeJson = (
  node: Node,
  value: unknown,
  path: ReadonlyArray<number>
): Effect.Effect<unknown, OutputRenderError> => {
  switch (node._tag) {
    case "Json":
      return encode(node, value, path)
    case "Sequence":
      return Effect.forEach(value as Array<unknown>, (part, i) => encodeJson(node.parts[i]!, part, [...path, i]))
    case "Repeat":
      return Effect.forEach(value as Array<unknown>, (item, i) => encodeJson(node.item, item, [...path, i]))
    case "Tag":
    case "Code":
    case "Text":
      return Effect.succeed(value)
  }
}

const encode = ({ schema }: Json, value: unknown, path: ReadonlyArray<number>) => {
  const refused = (description: string) => (cause?: Error) =>
    new OutputRenderError({ path, description: `${description}${cause ? `: ${cause.message}` : ""}`, cause })
  return Effect.gen(function*() {
    const { decodeUnknownEffect, encodeUnknownEffect, toCodecJson, toEquivalence } = yield* loadSchema
    const codec = toCodecJson(schema)
    const encoded = yield* Effect.mapError(encodeUnknownEffect(codec)(value), refused("it is not of its schema"))
    const [text, json] = yield* Effect.try({
      try: () => {
        const text = JSON.stringify(encoded, undefined, 2)
        return [text, JSON.parse(text) as unknown] as const
      },
      catch: (error) => refused("its schema makes no JSON of it")(error as Error)
    })
    const decoded = yield* Effect.mapError(decodeUnknownEffect(codec)(json), refused("its JSON is not of its schema"))
    if (!toEquivalence(codec)(decoded, value)) return yield* refused("its JSON would be read as another value")()
    return text
  }).pipe(
    // nested more deeply than the stack
    Effect.catchDefect((defect) =>
      defect instanceof RangeError
        ? Effect.fail(refused("it is nested too deeply")(defect))
        : Effect.die(defect)
    )
  )
}
