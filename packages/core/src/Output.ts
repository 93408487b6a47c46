/**
 * Structured output: what a sample is to hold, as a value whose type says what reading it yields.
 *
 * **When to use**
 *
 * Use when a prompt asks for an answer in parts: some in tags, `<name>…</name>`, some in fenced code blocks of Markdown.
 * `parse` reads a sample, `query` draws until one can be read, and `render` writes the example that the prompt shows.
 *
 * **Details**
 *
 * A text is read from its beginning to its end:
 *
 * - Each part is the first of its kind behind the part before it. What is between them is passed over.
 * - The fences of a text are those of CommonMark, and come first: what looks like a tag and stands in a fence is code.
 *   What looks like a fence and stands in a tag is one, so a fence can be read from within a tag that is not asked for.
 * - A repetition is greedy: it takes items as long as some begin. What comes behind it is looked for behind them all.
 * - An item begins where its first part does, and ends at the latest where the next one begins. One that has begun and
 *   lacks a part is an error, never left out.
 * - A fence that is not closed goes on to the end of the text, and an error is made of it where something is looked for
 *   that it may hide.
 *
 * Reading never goes back, so it takes time in proportion to the text, whatever is in it.
 *
 * The grammar is that of the Python original. Beyond it, one line break at each end of a tag's text is left out, a fence
 * begins a line, and nothing that has begun is passed over.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import * as Attempt from "./Attempt.ts"
import type { IndependentModel } from "./IndependentModel.ts"
import { asEffect } from "./internal/asEffect.ts"
import {
  failed,
  type OutputError,
  OutputRefused,
  OutputRejected,
  OutputRenderError,
  OutputsExhausted
} from "./internal/output/errors.ts"
import { decodeJson, encodeJson } from "./internal/output/json.ts"
import { read } from "./internal/output/reader.ts"
import { headOf, type Node } from "./internal/output/spec.ts"
import { write } from "./internal/output/writer.ts"
import * as LlmModel from "./LlmModel.ts"
import type { SampleError } from "./SampleError.ts"

export {
  OutputError,
  OutputRefused,
  OutputRejected,
  OutputRenderError,
  OutputsExhausted
} from "./internal/output/errors.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

declare const TypeId: unique symbol
declare const ItemTypeId: unique symbol

/**
 * What a text is to hold. Reading it yields an `A`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spec<in out A> extends Any {
  readonly [TypeId]: Types.Invariant<A>
}

/**
 * Any spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly [TypeId]: unknown
}

/**
 * A spec that can be repeated, because one sees where it begins: a tag, a code, a JSON, or a sequence whose first part is
 * one of these.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item<in out A> extends Spec<A> {
  readonly [ItemTypeId]: true
}

/**
 * What reading a spec yields.
 *
 * @category models
 * @since 0.1.0
 */
export type Type<S> = S extends Spec<infer A> ? A : never

/**
 * A sequence of these parts.
 *
 * @category models
 * @since 0.1.0
 */
export type Sequence<Parts extends ReadonlyArray<Any>> = Parts extends
  readonly [{ readonly [ItemTypeId]: true }, ...ReadonlyArray<Any>] ? Item<Yields<Parts>>
  : Spec<Yields<Parts>>

type Yields<Parts extends ReadonlyArray<Any>> = { -readonly [I in keyof Parts]: Type<Parts[I]> }

const make = (node: Node): Any => node as unknown as Any
const nodeOf = (spec: Any): Node => spec as unknown as Node

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * The text between `<name>` and the next `</name>`, without one line break at its beginning and one at its end.
 *
 * **Details**
 *
 * The tags are as given, to the letter and without attributes. A name is not empty and has no space, `<`, `>` or `/`;
 * another one is a defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tag = (name: string): Item<string> => {
  if (!/^[^\s<>/]+$/.test(name)) {
    throw new TypeError(`Output.tag: ${JSON.stringify(name)} is no name of a tag: leave out spaces, "<", ">" and "/"`)
  }
  return make({ _tag: "Tag", open: `<${name}>`, close: `</${name}>` }) as Item<string>
}

/**
 * The lines of a fenced code block, without the last line break. With a `language`, fences of other languages are passed
 * over.
 *
 * **Details**
 *
 * A fence is that of CommonMark 0.31, section 4.5: a line of three or more backticks or tildes, behind at most three
 * spaces, up to a line of at least as many. So a block can hold fences that are shorter. The language is the first word
 * behind the opening marker, and compared without regard to case. One that is empty, or has spaces or backticks, is a
 * defect.
 *
 * **Gotchas**
 *
 * A fence that is indented by four spaces or more, as in a deep list, is none.
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
    throw new TypeError(`Output.code: ${JSON.stringify(language)} is no language: give one word without "\`" and "~"`)
  }
  return make({ _tag: "Code", language }) as Item<string>
}

/**
 * A JSON value: the first fenced code block of the language `json`, or else all that is left of the text (within an item:
 * of the item), where that is JSON and nothing else. A `schema` decodes it.
 *
 * **Details**
 *
 * The schema's codec is that of `Schema.toCodecJson`: a `Schema.Date`, say, is a string in JSON. It is one that needs no
 * services; what needs some goes into the `validate` of a query.
 *
 * @category constructors
 * @since 0.1.0
 */
export const json = <A>(schema: Schema.ConstraintCodec<A, unknown>): Item<A> =>
  make({ _tag: "Json", schema, language: "json" }) as Item<A>

/**
 * All that is left of the text, within an item of the item, as it is. It may be empty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const text: Spec<string> = make({ _tag: "Text" }) as Spec<string>

/**
 * Parts, one behind the other.
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
 * Items, as many as there are, also none.
 *
 * **Details**
 *
 * An item ends at the latest where the next one begins, so that a repetition can hold others: of sections, say, with all
 * the code of each. Where two specs begin in the same way, the outer one gets what begins so.
 *
 * @category constructors
 * @since 0.1.0
 */
export const repeat = <A>(item: Item<A>): Spec<Array<A>> => {
  const node = nodeOf(item)
  const head = headOf(node)
  if (head === undefined) throw new TypeError("Output.repeat: an item has to begin with a tag, a code or a JSON")
  return make({ _tag: "Repeat", item: node, head }) as Spec<Array<A>>
}

// -----------------------------------------------------------------------------
// parse
// -----------------------------------------------------------------------------

/**
 * Reads what a spec says from a text.
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
    if (Result.isFailure(reading)) return yield* failed(text, reading.failure)
    const { undecoded, values } = reading.success
    if (undecoded.length > 0) yield* decodeJson(text, undecoded)
    return values[0] as A
  })

// -----------------------------------------------------------------------------
// render
// -----------------------------------------------------------------------------

/**
 * Writes a value as its spec says, for the examples that a prompt shows. `parse` gives the value back.
 *
 * **Details**
 *
 * Fences are as long as what they hold needs. A value that would not be read as it is, such as a tag's text that holds the
 * closing tag, is refused.
 *
 * **Example** (What the answer should look like)
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
 * What `validate` says of a value: `true` or `undefined` accepts it, `false` refuses it, and so does a text, which says
 * why.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = boolean | string | undefined

/**
 * How many samples are drawn, and which values are good.
 *
 * @category options
 * @since 0.1.0
 */
export interface QueryOptions<
  A,
  V extends Verdict | Effect.Effect<Verdict, unknown, unknown>,
  S extends Schedule.Schedule<unknown, OutputRejected, unknown, unknown>
> {
  /** When to draw another sample. Its input is what was wrong with the last one. @default three more, at once */
  readonly schedule?: S | undefined
  /**
   * Whether a value is good. Asked once for each that is read. Within it, `LlmModel` is the model of the attempt, as in
   * `Attempt.retry`: a judge that samples draws anew in each attempt.
   *
   * @default every value is
   */
  readonly validate?: ((value: A) => V) | undefined
}

/**
 * Draws samples of a prompt, each independent of the others, until one can be read and is accepted.
 *
 * **Details**
 *
 * Only a sample that is rejected is followed by another one. What sampling fails with, a miss in replication among it,
 * and what `validate` and `schedule` fail with, is the end, and the error as it is. Over the same cache the same samples
 * are drawn, so that the program replays.
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
  S extends Schedule.Schedule<unknown, OutputRejected, unknown, unknown> = Schedule.Schedule<unknown>
>(
  prompt: string,
  spec: Spec<A>,
  options: QueryOptions<Types.NoInfer<A>, V, S> = {}
): Effect.Effect<
  A,
  SampleError | OutputsExhausted | Effect.Error<V> | Schedule.Error<S>,
  Exclude<Effect.Services<V>, Attempt.Given> | IndependentModel | Schedule.Env<S>
> =>
  Effect.suspend(() => {
    type Failure = SampleError | OutputRejected | Effect.Error<V>
    const { schedule = Schedule.recurs(3), validate } = options
    // By them these are told from those of a query that `validate` makes.
    const rejected: Array<OutputRejected> = []
    const reject = (sample: string) => (error: OutputError | OutputRefused) => {
      const rejection = new OutputRejected({ sample, error })
      rejected.push(rejection)
      return rejection
    }
    const attempt = Effect.gen(function*(): Effect.fn.Return<A, Failure, Effect.Services<V> | LlmModel.LlmModel> {
      const sample = yield* LlmModel.sampleOne(prompt)
      const value = yield* Effect.mapError(parse(spec)(sample), reject(sample))
      const verdict: Verdict = validate === undefined ? true : yield* asEffect(validate(value))
      if (verdict === true || verdict === undefined) return value
      return yield* reject(sample)(new OutputRefused({ reason: verdict === false ? undefined : verdict }))
    })
    return Attempt.retry(attempt, {
      schedule: schedule as Schedule.Schedule<unknown, Failure, Schedule.Error<S>, Schedule.Env<S>>,
      while: (error) => error === rejected.at(-1)
    }).pipe(
      Effect.map(({ value }) => value),
      Effect.mapError((error) =>
        error instanceof Attempt.AttemptsExhausted && error.lastError === rejected.at(-1)
          ? new OutputsExhausted({ attempts: rejected })
          : error as Exclude<typeof error, OutputRejected | Attempt.AttemptsExhausted>
      )
    )
  })
