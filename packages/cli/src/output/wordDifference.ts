import * as TextDiff from "effect/TextDiff"
import type { Style } from "./Output.ts"
import { printable } from "./printable.ts"

/** The most changes that are looked for at one place: unrelated texts are shown one behind the other. */
const maxEdits = 300

/** Two texts as one printable text: words of the first alone as `[-…-]`, words of the second alone as `{+…+}`. */
export const wordDifference = (
  before: string,
  after: string,
  style: (style: Style, text: string) => string
): string =>
  TextDiff.diff(words(before), words(after), { maxEdits }).map(({ _tag, items }) => {
    const text = printable(items.join(""), { lines: true })
    return _tag === "Equal" ? text : _tag === "Delete" ? style("red", `[-${text}-]`) : style("green", `{+${text}+}`)
  }).join("")

// Words, runs of white space, and every other character alone.
const words = (text: string): ReadonlyArray<string> => text.match(/[\p{L}\p{M}\p{N}]+|\s+|[^]/gu) ?? []
