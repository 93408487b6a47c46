/**
 * Structured output: a spec describes the parts of a sample, and its type is the type of the value read from it.
 *
 * **When to use**
 *
 * Use when a prompt asks for an answer in parts: some in tags, `<name>…</name>`, some in fenced code blocks of Markdown.
 * `parse` reads a sample, `query` draws samples until it can read one, and `render` writes the example for the prompt.
 *
 * **Details**
 *
 * `parse` reads a text from its beginning to its end:
 *
 * - Each part is the first of its kind behind the part before it. Text between two parts is skipped.
 * - Reasoning is skipped, unless the spec has a tag of that name: the text in `<think>`, `<thinking>`, `<thought>`, `<reasoning>`,
 *   `<reflection>`, `<analysis>`, `<scratchpad>`, and in the tags of Claude, Seed-OSS, Magistral, Kimi, Command A and OpenThinker.
 *   With a closing tag alone, as templates leave it, all text in front of it is reasoning.
 * - Fences and inline code are those of CommonMark and win over tags: a tag inside them is code. A fence inside a tag is a
 *   fence, so `code()` also finds the fences in tags without a spec.
 * - A repetition is greedy: it takes all items that follow. The part behind it is searched behind the last item.
 * - An item begins with its first part and ends before the next item. An item that lacks a part is an error.
 * - Unclosed fences and unclosed reasoning extend to the end of the text. If one may hide the next part, it is an error. So is
 *   a fence with another one of the same length inside, because nothing tells which line ends it, and for the same reason a
 *   fence of Markdown in front of a fence without a language.
 *
 * Reading never goes back, so its time is proportional to the length of any text.
 *
 * The grammar is the Python original's, with these additions: reasoning, inline code and tags that are only named are skipped,
 * the text of a tag loses one line break at each end, a fence begins a line, and an incomplete part is an error.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { ProvidedModels } from "./Attempt.ts"
import type { IndependentModel } from "./IndependentModel.ts"
import {
  type OutputError,
  outputErrorAt,
  type OutputRejected,
  OutputRenderError,
  type OutputsExhausted
} from "./internal/output/errors.ts"
import { decodeJson, encodeJson } from "./internal/output/json.ts"
import type { Any, Item, QueryOptions, Sequence, Spec, Verdict } from "./internal/output/models.ts"
import { drawUntilAccepted } from "./internal/output/query.ts"
import { read } from "./internal/output/reader.ts"
import { hasJson, headOf, type Node } from "./internal/output/spec.ts"
import { write } from "./internal/output/writer.ts"
import { InvalidInput } from "./InvalidInput.ts"
import * as LlmModel from "./LlmModel.ts"
import type { SampleError } from "./SampleError.ts"

export {
  OutputError,
  OutputRefused,
  OutputRejected,
  OutputRenderError,
  OutputsExhausted
} from "./internal/output/errors.ts"

export type { Any, Item, QueryOptions, Sequence, Spec, Type, Verdict } from "./internal/output/models.ts"

const make = (node: Node): Any => node as unknown as Any
const nodeOf = (spec: Any): Node => spec as unknown as Node

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * The text between `<name>` and the next `</name>`, without one line break at its beginning and one at its end. With a
 * `content`, that spec reads the text.
 *
 * **Details**
 *
 * Upper and lower case count, and tags have no attributes. The text does not contain its own opening tag: it begins behind
 * the last one. A pair that only names the tag is skipped if another pair follows: `between <a> and </a>`, `<a>...</a>`, and
 * `in <a></a> tags`. A name is not empty and has no space, `<`, `>` or `/`: any other name is a mistake in the program, and the
 * constructor throws an `InvalidInput`.
 *
 * **Example** (JSON in a tag)
 *
 * ```ts
 * import { Output } from "@llm-cache/core"
 * import { Schema } from "effect"
 *
 * const spec = Output.tag("answer", Output.json(Schema.Struct({ age: Schema.Int })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const tag = ((name: string, content?: Any): Any => {
  if (!/^[^\s<>/]+$/.test(name)) {
    throw new InvalidInput({
      module: "Output.tag",
      description: `${JSON.stringify(name)} cannot be the name of a tag: give a word without spaces, "<", ">" and "/"`
    })
  }
  return make({ _tag: "Tag", open: `<${name}>`, close: `</${name}>`, content: content && nodeOf(content) })
}) as {
  (name: string): Item<string>
  <A>(name: string, content: Spec<A>): Item<A>
}

/**
 * The lines of a fenced code block, without the last line break. With a `language`, it skips fences of other languages.
 *
 * **Details**
 *
 * Fences follow CommonMark 0.31, section 4.5: a line of three or more backticks or tildes, behind at most three spaces,
 * up to a line of at least as many. So a block can hold shorter fences. A tag may stand directly in front of the opening marker
 * or behind the closing one. The language is the first word behind the opening marker, in any case; `py` and `python3` are
 * `python`, `js` is `javascript`, and so on. A `language` that is empty or has spaces, backticks or tildes is a mistake in the program, and the
 * constructor throws an `InvalidInput`.
 *
 * **Gotchas**
 *
 * Lines indented by four or more spaces, as in a deep list, are no fences.
 *
 * @category constructors
 * @since 0.1.0
 */
export const code = (options?: {
  /** @default any */
  readonly language?: string | undefined
}): Item<string> => {
  const language = options?.language?.toLowerCase()
  if (language !== undefined && !/^[^\s`~]+$/.test(language)) {
    throw new InvalidInput({
      module: "Output.code",
      description: `${JSON.stringify(language)} cannot be a language: give one word without "\`" and "~"`
    })
  }
  return make({ _tag: "Code", language }) as Item<string>
}

/**
 * A JSON value, decoded by a `schema`: the first fenced code block of the language `json`, or else the first without a language
 * that holds JSON. Without such a block, it is the rest of the text (within an item: of the item), or the only object or array
 * in it.
 *
 * **Details**
 *
 * Several objects or arrays in prose are an error, because nothing tells which one is meant; a repetition reads each of them. What
 * a broken value contains is not read. A whole number that a number of JavaScript cannot hold is an error, never rounded: ask the
 * model to write it in quotes.
 *
 * `Schema.toCodecJson` makes the codec: a `Schema.Date`, say, is a string in JSON. The schema needs no services: checks
 * with services go into the `validate` of a query.
 *
 * @category constructors
 * @since 0.1.0
 */
export const json = <A>(schema: Schema.ConstraintCodec<A, unknown>): Item<A> =>
  make({ _tag: "Json", schema, language: "json" }) as Item<A>

/**
 * The rest of the text (within an item: of the item), unchanged except that reasoning is left out. It may be empty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const text: Spec<string> = make({ _tag: "Text" }) as Spec<string>

/**
 * Several parts, one behind the other.
 *
 * **Example** (A problem, and programs that solve it)
 *
 * ```ts
 * import { Output } from "@llm-cache/core"
 *
 * const spec = Output.sequence([
 *   Output.tag("problem"),
 *   Output.repeat(Output.sequence([Output.tag("algorithm"), Output.code()]))
 * ])
 *
 * type Answer = Output.Type<typeof spec> // [string, Array<[string, string]>]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const sequence = <const Parts extends ReadonlyArray<Any>>(parts: Parts): Sequence<Parts> =>
  make({ _tag: "Sequence", parts: parts.map(nodeOf) }) as Sequence<Parts>

/**
 * Any number of items, also none.
 *
 * **Details**
 *
 * An item ends before the next item, so repetitions nest: sections, say, each with all its code. If an inner and an outer
 * repetition begin with the same spec, the outer one gets the item.
 *
 * An item without a recognizable beginning is a compile error. If it passes the compiler as an `any`, the constructor
 * throws an `InvalidInput`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const repeat = <A>(item: Item<A>): Spec<Array<A>> => {
  const node = nodeOf(item)
  const head = headOf(node)
  if (head === undefined) {
    throw new InvalidInput({
      module: "Output.repeat",
      description: "the item has no recognizable beginning: begin it with a tag, a code or a JSON"
    })
  }
  return make({ _tag: "Repeat", item: node, head }) as Spec<Array<A>>
}

// -----------------------------------------------------------------------------
// parse
// -----------------------------------------------------------------------------

/**
 * Reads the value of a spec from a text. Without `json` in the spec, it is synchronous, see `parseResult`.
 *
 * **Example** (The answer of a repeatable model)
 *
 * ```ts
 * import { LlmModel, Output, Repeatable } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = LlmModel.sampleOne("What is 6 * 7? Give the answer in <answer> tags.").pipe(
 *   Effect.flatMap(Output.parse(Output.tag("answer"))),
 *   Effect.provide(Repeatable.layer)
 * )
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = <A>(spec: Spec<A>) =>
  Effect.fnUntraced(function*(text: string): Effect.fn.Return<A, OutputError> {
    const reading = read(nodeOf(spec), text)
    if (Result.isFailure(reading)) return yield* outputErrorAt(text, reading.failure)
    const { undecoded, values } = reading.success
    if (undecoded.length > 0) yield* decodeJson(text, undecoded)
    return values[0] as A
  })

/**
 * Reads the value of a spec from a text at once, for code without effects: the `check` of an estimate, say.
 *
 * **Gotchas**
 *
 * `json` needs a Schema, which loads asynchronously: for a spec with `json`, it throws an `InvalidInput` when it gets the spec.
 *
 * **Example** (A check of the answer)
 *
 * ```ts
 * import { Output } from "@llm-cache/core"
 * import { Result } from "effect"
 *
 * const read = Output.parseResult(Output.tag("answer"))
 *
 * const isRight = (sample: string) => Result.getOrElse(read(sample), () => "none") === "42"
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseResult = <A>(spec: Spec<A>): (text: string) => Result.Result<A, OutputError> => {
  const node = nodeOf(spec)
  if (hasJson(node)) {
    throw new InvalidInput({
      module: "Output.parseResult",
      description: "the spec has a `json`, which is decoded asynchronously: use `Output.parse`"
    })
  }
  return (text) => {
    const reading = read(node, text)
    return Result.isFailure(reading)
      ? Result.fail(outputErrorAt(text, reading.failure))
      : Result.succeed(reading.success.values[0] as A)
  }
}

// -----------------------------------------------------------------------------
// render
// -----------------------------------------------------------------------------

/**
 * Writes a value in the form of its spec, for the example in a prompt. `parse` reads the same value back.
 *
 * **Details**
 *
 * Fences are long enough for their content. If `parse` would read another value, as from a tag whose text holds its own
 * tags, it fails with an `OutputRenderError`.
 *
 * **Example** (The form of an answer)
 *
 * ```ts
 * import { Output } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const spec = Output.sequence([Output.tag("plan"), Output.code({ language: "python" })])
 *
 * const prompt = Effect.map(
 *   Output.render(spec)(["Print a greeting.", "print('hi')"]),
 *   (example) => `Write a program that sorts numbers. Answer in this form:\n\n${example}`
 * )
 * ```
 *
 * @category rendering
 * @since 0.1.0
 */
export const render = <A>(spec: Spec<A>) => (value: A): Effect.Effect<string, OutputRenderError> =>
  Effect.flatMap(
    encodeJson(nodeOf(spec), value, []),
    (value) =>
      Effect.fromResult(Result.mapError(write(nodeOf(spec), value), (unwritable) => new OutputRenderError(unwritable)))
  )

// -----------------------------------------------------------------------------
// query
// -----------------------------------------------------------------------------

/**
 * Draws independent samples of a prompt until `parse` can read one and `validate` accepts it. In place of a prompt, it takes
 * an effect that draws a text, such as an agent: each run is an attempt, as in `Attempt.retry`.
 *
 * **Details**
 *
 * Only a rejected sample leads to another draw. Errors of sampling, such as a `ReplicationCacheMiss`, and errors of the
 * effect, `validate` and `schedule` end the query unchanged. Over the same cache it draws the same samples, so the program
 * replays.
 *
 * **Example** (Up to ten samples)
 *
 * ```ts
 * import { Independent, Output } from "@llm-cache/core"
 * import { Effect, Schedule, Schema } from "effect"
 *
 * const Person = Schema.Struct({ name: Schema.String, age: Schema.Int })
 *
 * const program = Output.query("Invent a person. Answer in JSON, with name and age.", Output.json(Person), {
 *   schedule: Schedule.recurs(9),
 *   validate: ({ age }) => age >= 18 || `${age} is too young`
 * }).pipe(
 *   Effect.map(({ name }) => name),
 *   Effect.catchTag("OutputsExhausted", ({ attempts }) => Effect.succeed(`none in ${attempts.length} samples`)),
 *   Effect.provide(Independent.layer)
 * )
 * ```
 *
 * @category querying
 * @since 0.1.0
 */
export const query = <
  A,
  V extends Verdict | Effect.Effect<Verdict, unknown, unknown> = Verdict,
  S extends Schedule.Schedule<unknown, OutputRejected, unknown, unknown> = Schedule.Schedule<unknown>,
  P extends string | Effect.Effect<string, unknown, unknown> = string
>(
  prompt: P,
  spec: Spec<A>,
  options: QueryOptions<Types.NoInfer<A>, V, S> = {}
): Effect.Effect<
  A,
  DrawError<P> | OutputsExhausted | Effect.Error<V> | Schedule.Error<S>,
  Exclude<Effect.Services<P> | Effect.Services<V>, ProvidedModels> | IndependentModel | Schedule.Env<S>
> =>
  drawUntilAccepted<A, DrawError<P>, Effect.Services<P> | LlmModel.LlmModel, V, S>(
    drawOf(prompt as string) as never,
    parse(spec),
    options
  )

const drawOf = <E, R>(prompt: string | Effect.Effect<string, E, R>) =>
  Effect.isEffect(prompt) ? prompt : LlmModel.sampleOne(prompt)

type DrawError<P> = P extends string ? SampleError : Effect.Error<P>
