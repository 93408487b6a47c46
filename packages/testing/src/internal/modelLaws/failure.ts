import * as LlmModel from "@llm-cache/core/LlmModel"
import { providerError } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { strict as assert } from "node:assert"
import type { Law } from "../../ModelLaws.ts"
import * as TestModel from "../../TestModel.ts"
import { drawing, keepsInterrupted, remembering } from "./brokenModels.ts"
import { all, asked, law, many } from "./law.ts"

const failureOf = <A, E, R>(draw: Effect.Effect<A, E, R>): Effect.Effect<E, never, R> =>
  Effect.match(draw, {
    onFailure: (error) => error,
    onSuccess: (sample) => assert.fail(`a failure was expected, and there is the sample ${JSON.stringify(sample)}`)
  })

const one = LlmModel.sampleOne("p")

/** The effects of failures and interruptions. */
export const failure: ReadonlyArray<Law> = [
  law(
    "fails with the error of the model beneath",
    all,
    {
      broken: drawing((draw) => (...args) => Effect.mapError(draw(...args), () => providerError("BadRequest"))),
      script: [TestModel.serverFault]
    },
    Effect.map(failureOf(one), (error) => assert.equal(error, TestModel.serverFault))
  ),
  law(
    "uses up no position when it fails",
    all,
    {
      broken: drawing((draw) => (...args) => Effect.tapError(draw(...args), () => draw(...args))),
      script: [TestModel.serverFault, "a", TestModel.serverFault, "b"],
      size: () => 1
    },
    Effect.gen(function*() {
      yield* failureOf(one)
      assert.deepEqual(yield* many("p", 1), ["a"])
      const { sequence } = yield* LlmModel.LlmModel
      // A remembered sequence has `a` again, and asks for the next one.
      const rest = sequence === "remembered" ? many("p", 2) : many("p", 1)
      yield* failureOf(rest)
      assert.deepEqual(yield* rest, sequence === "remembered" ? ["a", "b"] : ["b"])
    })
  ),
  law(
    "fails one request once",
    ["remembered"],
    { broken: remembering({ remembersFailures: true }), latency: "1 second", script: [TestModel.serverFault, "a"] },
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        Effect.replicateEffect(Effect.exit(one), 3, { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("10 seconds")
      const exits = yield* Fiber.join(fiber)
      const failed = exits.filter(Exit.isFailure).length
      assert.ok(failed >= 1, "no draw failed")
      const again = yield* Effect.forkChild(one)
      yield* TestClock.adjust("10 seconds")
      assert.equal(yield* Fiber.join(again), "a")
      assert.equal(yield* asked, 2)
    })
  ),
  law(
    "hands out nothing twice after an interruption",
    ["new", "shared"],
    { broken: keepsInterrupted, latency: "1 second" },
    Effect.gen(function*() {
      const cut = yield* Effect.forkChild(one)
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(cut)
      yield* TestClock.adjust("10 seconds")
      const fiber = yield* Effect.forkChild(Effect.replicateEffect(one, 3))
      yield* TestClock.adjust("1 minute")
      assert.equal(new Set(yield* Fiber.join(fiber)).size, 3)
    })
  ),
  law(
    "serves the other runs if one of them is interrupted",
    ["remembered"],
    { broken: remembering({ interruptsOthers: true }), latency: "1 second" },
    Effect.gen(function*() {
      const first = yield* Effect.forkChild(one)
      yield* TestClock.adjust("100 millis")
      const second = yield* Effect.forkChild(one)
      yield* TestClock.adjust("100 millis")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 minute")
      const text = yield* Fiber.join(second)
      assert.equal(yield* one, text)
      assert.equal(yield* asked, 1)
    })
  )
]
