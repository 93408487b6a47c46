/**
 * An agent of two steps: it chooses a number, asks whether it is a lucky one, and starts over if it is not.
 */
import { Attempt, Independent, LlmModel } from "@llm-cache/core"
import { Effect } from "effect"

export const luckyNumber = Effect.gen(function*() {
  const number = yield* LlmModel.sampleOne("Choose a number between 1 and 1000. Answer with the number alone.")
  const verdict = yield* LlmModel.sampleOne(`Is ${number} your lucky number? Answer yes or no.`)
  return verdict === "yes" ? number : yield* Effect.fail(`${number} was refused`)
}).pipe(Attempt.retry({ times: 20 }), Effect.provide(Independent.layer))
