import * as Effect from "effect/Effect"
import { type OutputError, outputErrorAt, OutputRenderError } from "./errors.ts"
import type { Undecoded } from "./reader.ts"
import type { Json, Node } from "./spec.ts"

// `effect/Schema` is large, so only programs with JSON load it: the row `start-up` of the benchmark.
const loadSchema = Effect.promise(() => import("effect/Schema"))

/** Decodes the JSON values of a reading in place. */
export const decodeJson = Effect.fnUntraced(function*(
  text: string,
  undecoded: ReadonlyArray<Undecoded>
): Effect.fn.Return<void, OutputError> {
  const { decodeUnknownEffect, toCodecJson } = yield* loadSchema
  for (const { json, offset, path, schema, set } of undecoded) {
    const fail = (cause: Error) =>
      Effect.fail(outputErrorAt(text, {
        expected: "JSON of the schema",
        found: cause.message.replace(/\n\s*/g, " "),
        offset,
        path,
        cause
      }))
    set(
      yield* decodeUnknownEffect(toCodecJson(schema))(json).pipe(
        Effect.catchTag("SchemaError", fail),
        // JSON can be nested more deeply than the stack.
        Effect.catchDefect((defect) => defect instanceof RangeError ? fail(defect) : Effect.die(defect))
      )
    )
  }
})

/** Replaces each JSON value by its text. */
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
      return node.content === undefined ? Effect.succeed(value) : encodeJson(node.content, value, path)
    case "Code":
    case "Text":
      return Effect.succeed(value)
  }
}

const encode = ({ schema }: Json, value: unknown, path: ReadonlyArray<number>) => {
  const failure = (description: string) => (cause?: Error) =>
    new OutputRenderError({ path, description: `${description}${cause ? `: ${cause.message}` : ""}`, cause })
  return Effect.gen(function*() {
    const { decodeUnknownEffect, encodeUnknownEffect, toCodecJson, toEquivalence } = yield* loadSchema
    const codec = toCodecJson(schema)
    const encoded = yield* Effect.mapError(encodeUnknownEffect(codec)(value), failure("it does not match its schema"))
    const [text, json] = yield* Effect.try({
      try: () => {
        const text = JSON.stringify(encoded, undefined, 2)
        return [text, JSON.parse(text) as unknown] as const
      },
      catch: (error) => failure("its schema does not encode it as JSON")(error as Error)
    })
    const decoded = yield* Effect.mapError(
      decodeUnknownEffect(codec)(json),
      failure("its JSON does not match its schema")
    )
    if (!toEquivalence(codec)(decoded, value)) return yield* failure("`parse` would read another value from its JSON")()
    return text
  }).pipe(
    // A value can be nested more deeply than the stack.
    Effect.catchDefect((defect) =>
      defect instanceof RangeError
        ? Effect.fail(failure("it is nested too deeply")(defect))
        : Effect.die(defect)
    )
  )
}
