import { assert, describe, it } from "@effect/vitest"
import * as Attempt from "@llm-cache/core/Attempt"
import * as Events from "@llm-cache/core/Events"
import * as Fork from "@llm-cache/core/Fork"
import * as Independent from "@llm-cache/core/Independent"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import * as Persistent from "@llm-cache/core/Persistent"
import * as Repeatable from "@llm-cache/core/Repeatable"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Trace from "@llm-cache/core/Trace"
import * as Transfer from "@llm-cache/core/Transfer"
import { Effect, Layer, Schema, Stream } from "effect"
import { usedStore } from "../src/run/usedStore.ts"
import { contents, folder } from "./support/exchange.ts"

const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Draws some samples of a prompt, below a layer, as an attempt or in a fork. */
const Step = Schema.Struct({
  prompt: Schema.Literals(["a", "b"]),
  n: count(0, 4),
  batch: count(1, 4),
  layer: Schema.Literals(["none", "Repeatable", "Independent", "retry", "parallel"]),
  fork: Schema.Literals(["", "f", "g/h"])
})
const Steps = Schema.Array(Step).check(Schema.isMaxLength(6))

const stepOf = ({ batch, fork, layer, n, prompt }: typeof Step.Type) => {
  const draws = Stream.runDrain(Stream.take(LlmModel.sample(prompt, { batch }), n))
  const twice = Effect.andThen(draws, draws)
  const self = layer === "none"
    ? draws
    : layer === "Repeatable"
    ? Effect.provide(twice, Repeatable.layer)
    : layer === "Independent"
    ? Effect.provide(twice, Independent.layer)
    : layer === "parallel"
    ? Effect.all([Fork.fork(draws, "left"), Fork.fork(draws, "right"), draws], { concurrency: 3 })
    : attempts(draws, n)
  return fork === "" ? self : Fork.fork(self, fork)
}

/** An attempt that fails some times, and draws anew each time. */
const attempts = <A, E, R>(draws: Effect.Effect<A, E, R>, failures: number) =>
  Effect.suspend(() => {
    let failed = 0
    return draws.pipe(
      Effect.andThen(Effect.suspend(() => failed++ < failures ? Effect.fail("again" as const) : Effect.void)),
      Attempt.retry({ times: 5 }),
      Effect.provide(Independent.layer)
    )
  })

/** A model whose nth answer to a key is the same in each of its runs. */
const provider = () => {
  const answered = new Map<string, number>()
  return LlmModel.layer({
    model: "m",
    maxBatch: 3,
    generate: ({ key, n }) => {
      const name = `${key.prompt} ${key.path.join()}`
      const first = answered.get(name) ?? 0
      answered.set(name, first + n)
      const numbers = Array.from({ length: n }, (_, i) => first + i)
      return Effect.succeed({
        samples: numbers.map((number) => `${name} ${number}`),
        finishReasons: numbers.map((number) => number % 3 === 1 ? "length" : "stop")
      })
    }
  })
}

const run = (steps: typeof Steps.Type, big: Store, slice?: Store, excludeFinishReasons: ReadonlyArray<string> = []) =>
  Effect.forEach(steps, stepOf).pipe(
    Effect.provide(
      slice === undefined
        ? LlmModel.stack(Persistent.layer({ store: big, excludeFinishReasons }), provider())
        : LlmModel.stack(
          Persistent.layer({ store: slice }),
          Persistent.layer({ store: big, excludeFinishReasons }),
          provider()
        )
    )
  )

describe("The slice of a run", () => {
  for (const excluded of [[], ["length"]]) {
    it.effect.prop(
      `is the nested slice of a random program ${excluded.length === 0 ? "" : "that never gets some samples"}`.trim(),
      { before: Steps, steps: Steps },
      ({ before, steps }) =>
        Effect.gen(function*() {
          const [big, other, nested, made] = yield* Effect.all([
            MemoryStore.make,
            MemoryStore.make,
            MemoryStore.make,
            MemoryStore.make
          ])
          yield* run(before, big)
          yield* Transfer.copy(big, other)
          yield* run(steps, other, nested, excluded)
          const directory = yield* folder
          yield* run(steps, big, undefined, excluded).pipe(
            Effect.provide(Layer.provideMerge(Trace.layer({ directory }), Events.layer))
          )
          const [traced] = yield* Trace.list(directory)
          const { missing, store } = yield* usedStore(big, traced!)
          assert.deepStrictEqual(missing, [])
          yield* Transfer.copy(store, made)
          assert.deepStrictEqual(yield* contents(made), yield* contents(nested))
        }),
      { arbitrary: { runs: 40 } }
    )
  }
})
