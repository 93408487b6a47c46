/**
 * Values that a fence states in comments, such as `// "92", the same`.
 *
 * A value is a JSON text, a number or a boolean. It stands behind `const name = …` or `yield* Console.log(…)`, on the same
 * line; several are in the order of the array, or of the arguments. "in every run" means that a second run of the program
 * has it too.
 */
import { isDeepStrictEqual } from "node:util"

export interface Stated {
  /** The index of its line in the fence. */
  readonly line: number
  readonly values: ReadonlyArray<unknown>
  readonly isOfEveryRun: boolean
}

const literal = /^("(?:[^"\\]|\\.)*"|(?:-?\d+(?:\.\d+)?|true|false)(?=,|$))(?:, )?/

const valuesOf = (comment: string): ReadonlyArray<unknown> => {
  const found = literal.exec(comment)
  return found === null ? [] : [JSON.parse(found[1]!), ...valuesOf(comment.slice(found[0].length))]
}

const comment = /^(.*\S)\s+\/\/ (.*)$/
const definition = /^(\s*const \w+ = )(.+)$/
const logging = /^(\s*yield\* )Console\.log\((.+)\)$/

export interface Instrumented {
  readonly stated: ReadonlyArray<Stated>
  /** The code, with calls of `record(line, …values)` at the stated values. */
  readonly code: string
}

/** Fails at a line that states a value of another kind of statement. */
export const instrument = (code: string): Instrumented => {
  const stated: Array<Stated> = []
  const lines = code.split("\n").map((text, line) => {
    const [, statement = "", said = ""] = comment.exec(text) ?? []
    const values = valuesOf(said)
    if (values.length === 0) return text
    const [, before, value] = definition.exec(statement) ?? logging.exec(statement) ?? []
    if (value === undefined) {
      throw new Error(
        `line ${line + 1} states a value, but is neither \`const name = …\` nor \`yield* Console.log(…)\``
      )
    }
    stated.push({ line, values, isOfEveryRun: said.includes("in every run") })
    return logging.test(statement) ? `${before}log(${line}, ${value})` : `${before}record(${line}, ${value})`
  })
  return { stated, code: lines.join("\n") }
}

/** Says how the recorded values differ from the stated ones. */
export const differenceOf = (stated: Stated, recorded: ReadonlyArray<unknown> | undefined): string | undefined => {
  if (recorded === undefined) return "the program does not reach this line"
  const values = recorded.flat(Infinity)
  return isDeepStrictEqual(values, stated.values)
    ? undefined
    : `states ${JSON.stringify(stated.values)}, but the value is ${JSON.stringify(values)}`
}
