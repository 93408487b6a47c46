import { LlmModel } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { atMost, within } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, repeatable, run } from "../support/models.ts"
import { promptOf, sampleOf } from "../support/payload.ts"

const [runs, length] = [50, 100]

export const memoryMany: Row = {
  name: "memory-many",
  title: "memory hits, 100 of one prompt, as a Stream",
  operation: "a sample",
  slack: 2,
  checks: [atMost(1.3, "Stream.fromArray"), within(0.13)],
  setup: async ({ scope }) => {
    const prompt = promptOf(0)
    const ours = await repeatable(scope)
    await run(ours, LlmModel.sampleMany(prompt, length))
    const samples = Array.from({ length }, () => sampleOf(0))
    return [
      {
        name: "sample, take(100)",
        role: "ours",
        operations: runs * length,
        run: () => run(ours, inTurn(runs, () => LlmModel.sample(prompt).pipe(Stream.take(length), Stream.runCollect)))
      },
      {
        name: "Stream.fromArray",
        role: "floor",
        operations: runs * length,
        run: () =>
          Effect.runPromise(inTurn(runs, () => Stream.fromArray(samples).pipe(Stream.take(length), Stream.runCollect)))
      },
      {
        name: "sampleMany",
        role: "ours",
        operations: runs * length,
        run: () => run(ours, inTurn(runs, () => LlmModel.sampleMany(prompt, length)))
      },
      {
        name: "a bare stream of one per pull",
        role: "floor",
        operations: runs * length,
        run: () =>
          Effect.runPromise(inTurn(runs, () => onePerPull(samples).pipe(Stream.take(length), Stream.runCollect)))
      }
    ]
  }
}

/** The smallest stream with one element a pull. */
export const onePerPull = (samples: ReadonlyArray<string>): Stream.Stream<string> =>
  Stream.fromPull(Effect.sync(() => {
    let i = 0
    return Effect.sync(() => [samples[i++]!] as const)
  }))
