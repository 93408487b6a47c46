import { Independent, LlmModel, type SampleError } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { lengthOf, repeatable, run } from "../support/models.ts"
import { promptOf, sampleOf } from "../support/payload.ts"
import { onePerPull } from "./memoryMany.ts"

const length = 5000

export const independent: Row = {
  name: "independent",
  title: "Independent's shared reader over recorded samples",
  operation: "a sample",
  slack: 2,
  checks: [atMost(1.3, "a bare stream of one per pull")],
  note:
    "A pull of the floor is one effect, and makes one value. A draw of a shared reader is one pull as well, but two effects, " +
    "since it looks for listeners in the fiber: that alone is 1.35 x. The rest is the position of the sample, which a draw " +
    "needs to give it back, and one effect more since it goes by `draw` as every sample of a shared sequence: a shortcut of its " +
    "own took two thirds of the time, and was a second way to a sample.",
  setup: async ({ scope }) => {
    const prompt = promptOf(0)
    const recorded = await repeatable(scope)
    await run(recorded, LlmModel.sampleMany(prompt, length))
    const samples = Array.from({ length }, () => sampleOf(0))
    const take = (stream: Stream.Stream<string, SampleError.SampleError, LlmModel.LlmModel>) =>
      Effect.map(stream.pipe(Stream.take(length), Stream.runCollect), lengthOf)
    // A new reader each time: it starts at the first sample.
    const independent = Effect.scoped(Independent.make(recorded))
    return [
      {
        name: "sample, under Independent",
        role: "ours",
        operations: length,
        run: async () => run(await Effect.runPromise(independent), take(LlmModel.sample(prompt)))
      },
      {
        name: "a bare stream of one per pull",
        role: "floor",
        operations: length,
        run: () => run(recorded, take(onePerPull(samples)))
      },
      {
        name: "sampleOne, under Independent",
        role: "ours",
        operations: length,
        run: async () =>
          run(
            await Effect.runPromise(independent),
            Effect.map(Effect.replicateEffect(LlmModel.sampleOne(prompt), length), lengthOf)
          )
      }
    ]
  }
}
