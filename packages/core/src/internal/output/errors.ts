import { excerpt } from "../errors/excerpt.ts"
import { TaggedError } from "../errors/taggedError.ts"
import type { Failure } from "./reader.ts"

/**
 * A text does not match its spec.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputError extends TaggedError("OutputError")<{
  /** The missing part of the spec. */
  readonly expected: string
  /** The obstacle in the text. */
  readonly found: string
  /** The offset of the obstacle or, without one, of the search's beginning, in UTF-16 code units. */
  readonly offset: number
  /** The line of the offset, from 1 on. */
  readonly line: number
  /** The column of the offset, from 1 on. */
  readonly column: number
  /** The text around the offset. */
  readonly excerpt: string
  /** The indices of parts and items that lead to the missing part, the outermost first. */
  readonly path: ReadonlyArray<number>
  /** The error of `JSON.parse` or of the schema. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `Line ${this.line}, column ${this.column}${
      at(this.path)
    }: expected ${this.expected}, and found ${this.found}. ` +
      `The text there: ${this.excerpt}`
  }
}

const at = (path: ReadonlyArray<number>): string => path.length === 0 ? "" : `, part ${path.join(".")}`

/** Adds the line, the column and an excerpt to a failure. */
export const outputErrorAt = (text: string, failure: Failure): OutputError => {
  const { offset } = failure
  let line = 1
  let lineStart = 0
  for (let next; (next = text.indexOf("\n", lineStart) + 1) !== 0 && next <= offset; lineStart = next) line++
  return new OutputError({ ...failure, line, column: offset - lineStart + 1, excerpt: excerpt(text, offset, 40) })
}

/**
 * `render` cannot write a value in the form of its spec.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputRenderError extends TaggedError("OutputRenderError")<{
  /** The indices of parts and items that lead to the faulty part, the outermost first. */
  readonly path: ReadonlyArray<number>
  /** The fault, and how to fix it. */
  readonly description: string
  /** The error of the schema. */
  readonly cause?: unknown
}> {
  override get message(): string {
    return `The value${at(this.path)} cannot be rendered: ${this.description}`
  }
}

/**
 * `validate` rejected a value.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputRefused extends TaggedError("OutputRefused")<{
  /** The reason, if `validate` gave one. */
  readonly reason: string | undefined
}> {
  override get message(): string {
    return this.reason ?? "The value was refused"
  }
}

/**
 * A rejected sample: `parse` could not read it, or `validate` rejected its value.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputRejected extends TaggedError("OutputRejected")<{
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
 * All samples of a query were rejected, and its schedule allows no more.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutputsExhausted extends TaggedError("OutputsExhausted")<{
  /** The samples in the order of the draws, each with its error. */
  readonly attempts: ReadonlyArray<OutputRejected>
}> {
  override get cause(): OutputRejected | undefined {
    return this.attempts.at(-1)
  }

  override get message(): string {
    const reasons = this.attempts.map(({ message }, i) => `\n  ${i + 1}. ${message}`)
    return `None of ${this.attempts.length} samples could be used:${reasons.join("")}`
  }
}
