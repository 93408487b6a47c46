import { Fork, LlmModel, Repeatable } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { above, atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, lengthOf, provider, repeatable, run, sampleEach } from "../support/models.ts"
import { promptOf } from "../support/payload.ts"

const [few, many] = [1000, 10_000]

export const fibers: Row = {
  name: "fibers",
  title: "10,000 fibers on one key that is not recorded yet",
  operation: "a fiber",
  slack: 2,
  checks: [atMost(1.5, "1,000 fibers")],
  note:
    "Fibers that only yield once take 2 to 2.8 times as long each with 10,000 of them alive as with 1,000: so many outlive " +
    "the young generation of the garbage collector.",
  setup: async () => {
    const prompt = promptOf(0)
    const source = await provider()
    // The provider answers later, so that all fibers wait for one request.
    const slow: LlmModel.Model = LlmModel.fromDraw({
      ...source,
      draw: (key, position, batch) => Effect.andThen(Effect.yieldNow, source.draw(key, position, batch))
    })
    const at = (count: number, times: number) => async () => {
      let characters = 0
      for (let i = 0; i < times; i++) {
        characters += await Effect.runPromise(
          Effect.scoped(Effect.flatMap(Repeatable.make(slow), (model) =>
            Effect.provideService(
              Effect.map(
                Effect.forEach(
                  Array.from({ length: count }, () => prompt),
                  (prompt) => LlmModel.sampleOne(prompt),
                  { concurrency: "unbounded" }
                ),
                lengthOf
              ),
              LlmModel.LlmModel,
              model
            )))
        )
      }
      return characters
    }
    const bare = (count: number) => () =>
      Effect.runPromise(Effect.map(
        Effect.forEach(
          Array.from({ length: count }, () => prompt),
          (prompt) => Effect.as(Effect.yieldNow, prompt + prompt),
          { concurrency: "unbounded" }
        ),
        lengthOf
      ))
    return [
      { name: "10,000 fibers", role: "ours", operations: many, run: at(many, 1) },
      { name: "fibers that yield once", role: "floor", operations: many, run: bare(many) },
      { name: "1,000 fibers", role: "ours", operations: many, run: at(few, many / few) }
    ]
  }
}

const times = 5

export const forks: Row = {
  name: "forks",
  title: "memory hit, in a fork of its own",
  operation: "a sample",
  checks: [above(2, "sampleOne, not in a fork")],
  setup: async ({ scope }) => {
    const prompt = promptOf(0)
    const names = Array.from({ length: few }, (_, i) => `trial ${i}`)
    const model = await repeatable(scope)
    const inForks = inTurn(few * times, (i) => LlmModel.sampleOne(prompt).pipe(Fork.fork(names[i % few]!)))
    const inNone = inTurn(few * times, () => LlmModel.sampleOne(prompt))
    await run(model, inForks)
    await run(model, sampleEach([prompt]))
    return [
      { name: "sampleOne, in a fork", role: "ours", operations: few * times, run: () => run(model, inForks) },
      { name: "sampleOne, not in a fork", role: "floor", operations: few * times, run: () => run(model, inNone) }
    ]
  }
}
