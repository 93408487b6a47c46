/**
 * Matchers for `expect` of Vitest: `toHaveAsked`, `toHaveDrawn` and `toBeReplay`.
 *
 * **When to use**
 *
 * Add `@llm-cache/testing/vitest` to the `setupFiles` of Vitest: it extends `expect`, and its types. With another `expect`, give it
 * `Matchers.matchers` by `expect.extend`.
 *
 * **Example** (What an agent asked)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import { LlmModel } from "@llm-cache/core"
 * import { TestModel } from "@llm-cache/testing"
 * import "@llm-cache/testing/vitest"
 * import { Effect } from "effect"
 * import { expect } from "vitest"
 *
 * it.effect("asks for three votes", () =>
 *   Effect.gen(function*() {
 *     yield* LlmModel.sampleMany("6 * 7?", 3)
 *     const model = yield* TestModel.TestModel
 *     expect(model).toHaveAsked("6 * 7?")
 *     expect(model).toHaveDrawn(3)
 *   }).pipe(Effect.provide(TestModel.layer())))
 * ```
 *
 * @since 0.1.0
 */
import type { Receipt } from "@llm-cache/core/Trace"
import type { Cassette } from "./Cassette.ts"
import { excerpt } from "./internal/cassette/file.ts"
import type { TestLanguageModel } from "./TestLanguageModel.ts"
import type { TestModel } from "./TestModel.ts"

/**
 * A subject of the matchers: a test model, a cassette, or the receipt of a trace.
 *
 * @category models
 * @since 0.1.0
 */
export type Subject = TestModel["Service"] | TestLanguageModel["Service"] | Cassette["Service"] | Receipt

/**
 * The outcome of a matcher.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  readonly pass: boolean
  readonly message: () => string
}

/**
 * The matchers by name, for `expect.extend`.
 *
 * @category matchers
 * @since 0.1.0
 */
export const matchers = {
  /**
   * A test model was asked the prompt, or a cassette was: a text is the whole prompt, a pattern matches a part. The prompt of a
   * `TestLanguageModel` is the text of its last message.
   */
  toHaveAsked: (subject: Subject, prompt: string | RegExp): Outcome => {
    const asked = promptsOf(subject)
    const matches = (other: string) => typeof prompt === "string" ? other === prompt : other.search(prompt) !== -1
    return outcome(
      asked.some(matches),
      `asked ${prompt instanceof RegExp ? String(prompt) : JSON.stringify(prompt)}`,
      asked.length === 0 ? "it asked nothing" : `it asked ${listed(asked)}`
    )
  },
  /** A test model gave so many samples, or a test drew so many from a cassette. */
  toHaveDrawn: (subject: Subject, samples: number): Outcome => {
    const drawn = drawnOf(subject)
    return outcome(drawn === samples, `drawn ${samples} samples`, `it has drawn ${drawn}`)
  },
  /** A cassette answered every draw, and there was one; a receipt says that the run was a replay. */
  toBeReplay: (subject: Subject): Outcome => {
    if ("isReplay" in subject) {
      const { asked, bought, missed, racing } = subject
      return outcome(
        subject.isReplay,
        "been a replay",
        `it has ${asked} draws, ${bought} bought, ${missed} missed, ${racing} racing`
      )
    }
    if (!("draws" in subject)) throw new TypeError("toBeReplay needs a Cassette, or the receipt of a Trace")
    const others = subject.draws.filter(({ from }) => from !== "cassette")
    return outcome(
      subject.draws.length > 0 && others.length === 0,
      "been a replay",
      subject.draws.length === 0
        ? "it has no draws"
        : `${others.length} of its draws are new: ${listed(others.map(({ prompt }) => prompt))}`
    )
  }
}

const outcome = (pass: boolean, expected: string, found: string): Outcome => ({
  pass,
  message: () => `expected it ${pass ? "not " : ""}to have ${expected}, but ${found}`
})

const promptsOf = (subject: Subject): ReadonlyArray<string> => {
  if ("draws" in subject) return subject.draws.map(({ prompt }) => prompt)
  if ("requests" in subject) {
    return subject.requests.map((request) => "text" in request ? request.text : request.prompt)
  }
  throw new TypeError("toHaveAsked needs a TestModel, a TestLanguageModel or a Cassette")
}

const drawnOf = (subject: Subject): number => {
  if ("draws" in subject) return subject.draws.filter(({ from }) => from !== "nothing").length
  if ("samples" in subject) return subject.samples.length
  throw new TypeError("toHaveDrawn needs a TestModel or a Cassette")
}

const listed = (prompts: ReadonlyArray<string>): string => {
  const different = [...new Set(prompts)]
  return different.slice(0, 10).map((prompt) => excerpt(prompt)).join(", ") +
    (different.length > 10 ? `, and ${different.length - 10} more` : "")
}
