/**
 * An agent that answers a question by the most frequent of a few answers.
 */
import { Independent, LlmModel } from "@llm-cache/core"
import { Data, Effect } from "effect"

export class Undecided extends Data.TaggedError("Undecided")<{ readonly answers: ReadonlyArray<string> }> {}

export const vote = (question: string, voters: number) =>
  Effect.gen(function*() {
    // Votes have to be independent, also over a model that repeats.
    const answers = yield* Effect.provide(LlmModel.sampleMany(question, voters), Independent.layer)
    const counts = Map.groupBy(answers, (answer) => answer)
    const [first, second] = [...counts].sort(([, a], [, b]) => b.length - a.length)
    if (first === undefined || first[1].length === second?.[1].length) return yield* new Undecided({ answers })
    return first[0]
  })
