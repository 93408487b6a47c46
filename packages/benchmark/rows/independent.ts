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
    "A pull of the floor is one effect, and makes one value. A draw of a shared reader takes the next position where it " +
    "is drawn, so it is one pull as well, and it is two effects, as it looks at the fiber (whether anyone listens): that alone " +
    "is 1.35 x. The rest is a sample that knows where it was drawn, so that it can be given back.",
  setup: async ({ scope }) => {
    const prompt = promptOf(0)
    const recorded = await repeatable(scope)
    await run(recorded, LlmModel.sampleMany(prompt, length))
    const samples = Array.from({ length }, () => sampleOf(0))
    const take = (stream: Stream.Stream<string, SampleError.SampleError, LlmModel.LlmModel>) =>
      Effect.map(stream.pipe(Stream.take(length), Stream.runCollect), lengthOf)
    // A reader of its own each time: it starts at the first sample.
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
