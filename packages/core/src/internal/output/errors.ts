import * as Data from "effect/Data"
import type { Failure } from "./reader.ts"

/**
 * A text is not of its spec.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputError extends Data.TaggedError("OutputError")<{
  /** What was looked for. */
  readonly expected: string
  /** What there is instead. */
  readonly found: string
  /** Where in the text, in UTF-16 code units: where the search began, or what stood in its way. */
  readonly offset: number
  /** The line of it, from 1 on. */
  readonly line: number
  /** Where in the line, from 1 on. */
  readonly column: number
  /** The text around it. */
  readonly excerpt: string
  /** The indices of parts and items that lead to what could not be read, the outermost first. */
  readonly path: ReadonlyArray<number>
  /** What JSON or the schema has to say. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Line ${this.line}, column ${this.column}${
      at(this.path)
    }: expected ${this.expected}, and found ${this.found}. ` +
      `The text there: ${this.excerpt}`
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

const at = (path: ReadonlyArray<number>): string => path.length === 0 ? "" : `, part ${path.join(".")}`

/** The error of a failure, with where it is in the text. */
export const failed = (text: string, failure: Failure): OutputError => {
  const { offset } = failure
  let line = 1
  let lineStart = 0
  for (let next; (next = text.indexOf("\n", lineStart) + 1) !== 0 && next <= offset; lineStart = next) line++
  const from = Math.max(0, offset - 20)
  const to = Math.min(text.length, offset + 40)
  const excerpt = `${from > 0 ? "…" : ""}${JSON.stringify(text.slice(from, to).toWellFormed())}${
    to < text.length ? "…" : ""
  }`
  return new OutputError({ ...failure, line, column: offset - lineStart + 1, excerpt })
}

/**
 * A value cannot be written as its spec says.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputRenderError extends Data.TaggedError("OutputRenderError")<{
  /** The indices of parts and items that lead to what cannot be written, the outermost first. */
  readonly path: ReadonlyArray<number>
  /** Why not, and what to do about it. */
  readonly description: string
  /** What the schema has to say. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `The value${at(this.path)} cannot be rendered: ${this.description}`
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

/**
 * A value that was read was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputRefused extends Data.TaggedError("OutputRefused")<{
  /** Why, where `validate` said so. */
  readonly reason: string | undefined
}> {
  override get message(): string {
    return this.reason ?? "The value was refused"
  }
}

/**
 * A sample that could not be read, or whose value was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputRejected extends Data.TaggedError("OutputRejected")<{
  readonly sample: string
  readonly error: OutputError | OutputRefused
}> {
  override get cause(): OutputError | OutputRefused {
    return this.error
  }

  override get message(): string {
    return this.error.message
  }
}

/**
 * No sample could be read and was accepted, and no more are to be drawn.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputsExhausted extends Data.TaggedError("OutputsExhausted")<{
  /** The samples in the order in which they were drawn, and what was wrong with each. */
  readonly attempts: ReadonlyArray<OutputRejected>
}> {
  override get cause(): OutputRejected | undefined {
    return this.attempts.at(-1)
  }

  override get message(): string {
    const reasons = this.attempts.map(({ message }, i) => `\n  ${i + 1}. ${message}`)
    return `None of ${this.attempts.length} samples could be used:${reasons.join("")}`
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}
