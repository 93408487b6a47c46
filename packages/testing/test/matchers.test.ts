import { assert, describe, it } from "@effect/vitest"
import { Events, LlmModel, MemoryStore, Persistent, Trace } from "@llm-cache/core"
import { Effect, Layer } from "effect"
import * as Vitest from "vitest"
import { Cassette, Matchers, TestModel } from "../src/index.ts"
import { folder } from "./support/disk.ts"

// The setup of a project extends it by name. The tests of `it.effect` have it too.
const { expect: expected } = Vitest
expected.extend(Matchers.matchers)

const failure = (check: () => void): string => {
  try {
    check()
  } catch (error) {
    return (error as Error).message
  }
  return "no failure"
}

describe("the matchers of a test model", () => {
  it.effect("say what it was asked and how much it gave", () =>
    Effect.gen(function*() {
      const model = yield* TestModel.TestModel
      assert.strictEqual(
        failure(() => expected(model).toHaveAsked("6 * 7?")),
        "expected it to have asked \"6 * 7?\", but it asked nothing"
      )
      yield* LlmModel.sampleMany("6 * 7?", 3)
      expected(model).toHaveAsked("6 * 7?")
      expected(model).toHaveAsked(/\* 7/g)
      expected(model).toHaveAsked(/\* 7/g)
      expected(model).not.toHaveAsked("6 * 7")
      expected(model).toHaveDrawn(3)
      assert.strictEqual(
        failure(() => expected(model).toHaveAsked("6 * 8?")),
        "expected it to have asked \"6 * 8?\", but it asked \"6 * 7?\""
      )
      assert.strictEqual(
        failure(() => expected(model).not.toHaveAsked("6 * 7?")),
        "expected it not to have asked \"6 * 7?\", but it asked \"6 * 7?\""
      )
      assert.strictEqual(
        failure(() => expected(model).toHaveDrawn(2)),
        "expected it to have drawn 2 samples, but it has drawn 3"
      )
      assert.include(failure(() => expected(model).toBeReplay()), "needs a Cassette")
    }).pipe(Effect.provide(TestModel.layer())))
})

describe("the matchers of a cassette", () => {
  it.effect("tell a replay from a recording", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const run = (prompts: ReadonlyArray<string>, mode: "update" | "replay") =>
        Effect.andThen(
          Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt)),
          Cassette.Cassette
        ).pipe(
          Effect.provide(Cassette.layer("run", { directory, mode }).pipe(Layer.provide(TestModel.layer())))
        )
      const recording = yield* run(["a", "b"], "update")
      expected(recording).not.toBeReplay()
      expected(recording).toHaveAsked("b")
      expected(recording).toHaveDrawn(2)
      assert.include(failure(() => expected(recording).toBeReplay()), "2 of its draws are new: \"a\", \"b\"")
      expected(yield* run(["b"], "replay")).toBeReplay()
      const none = yield* run([], "replay")
      assert.include(failure(() => expected(none).toBeReplay()), "it has no draws")
    }))
})

describe("the matchers of a receipt", () => {
  it.effect("tell a replay", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const store = yield* MemoryStore.make
      const run = Effect.andThen(
        Effect.provide(LlmModel.sampleOne("a"), LlmModel.stack(Persistent.layer({ store }), TestModel.layer())),
        Effect.flatMap(Trace.Trace, ({ receipt }) => receipt)
      ).pipe(Effect.provide(Layer.provideMerge(Trace.layer({ directory }), Events.layer)))
      const first = yield* run
      expected(first).not.toBeReplay()
      assert.include(failure(() => expected(first).toBeReplay()), "1 draws, 1 bought")
      expected(yield* run).toBeReplay()
      assert.include(failure(() => expected(first).toHaveAsked("a")), "needs a TestModel")
    }))
})
