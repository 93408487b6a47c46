import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Answer, Script } from "../TestLanguageModel.ts"
import { hasPattern, noPattern } from "./patterns.ts"

/**
 * A script that answers by the last message: the first pattern that matches its text decides, see `text` of `Request`.
 *
 * **Details**
 *
 * A text matches a message that contains it. A message that no pattern matches dies.
 *
 * **Example** (A tool and its answer)
 *
 * ```ts
 * import * as TestLanguageModel from "@llm-cache/testing/TestLanguageModel"
 *
 * const layer = TestLanguageModel.layer({
 *   script: TestLanguageModel.prompts([
 *     ["How is the weather", TestLanguageModel.toolCall("weather", { city: "Rome" })],
 *     [/sunny/, "Take your sunglasses."]
 *   ])
 * })
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const prompts = (
  cases: ReadonlyArray<readonly [pattern: string | RegExp, answer: Answer | Script]>
): Script => {
  const used = new Set<string | RegExp>()
  const answer: Script = (request, index) => {
    const found = cases.find(([pattern]) => hasPattern(request.text, pattern))
    if (found === undefined) return noPattern("message", request.text, cases.map(([pattern]) => pattern))
    const [pattern, answer] = found
    used.add(pattern)
    return typeof answer === "function" ? answer(request, index) : answer
  }
  return Object.assign(answer, {
    unused: () => cases.flatMap(([pattern]) => used.has(pattern) ? [] : [String(pattern)])
  })
}

/** A script that is a list of answers. */
export const fromList = (script: ReadonlyArray<Answer>): Script => {
  let next = 0
  const answer: Script = ({ text }) => {
    const answer = script[next]
    if (answer === undefined) {
      return Effect.die(
        new Error(`The script of the test model has ${next} answers, all used: add one for the message ${text}`)
      )
    }
    next++
    return answer
  }
  return Object.assign(answer, { unused: () => script.slice(next).map(describe) })
}

const describe = (answer: Answer): string =>
  answer instanceof AiError.AiError
    ? answer.message
    : Stream.isStream(answer)
    ? "a stream"
    : Effect.isEffect(answer)
    ? "an effect"
    : JSON.stringify(answer)
