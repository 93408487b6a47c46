import { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { strict as assert } from "node:assert"
import type { Law } from "../../ModelLaws.ts"
import { eachSample, remembering } from "./brokenModels.ts"
import { all, asked, law, many } from "./law.ts"

const atOnce = <A, E, R>(self: Effect.Effect<A, E, R>, n: number) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.replicateEffect(self, n, { concurrency: "unbounded" }))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

/** Which samples the runs of a prompt read. */
export const sequences: ReadonlyArray<Law> = [
  law(
    "has different samples in a run",
    all,
    { broken: eachSample((sample) => ({ ...sample, text: "the same" })) },
    Effect.map(many("p", 5), (texts) => assert.equal(new Set(texts).size, 5))
  ),
  law(
    "gives every run samples of its own",
    ["new", "shared"],
    { broken: remembering({ isNew: true }) },
    Effect.gen(function*() {
      const runs = [yield* many("p", 3), yield* many("p", 2), yield* many("p", 3)]
      assert.equal(new Set(runs.flat()).size, 8)
    })
  ),
  law(
    "gives runs at once samples of their own",
    ["new", "shared"],
    { broken: remembering({ isNew: true }), latency: "1 second" },
    Effect.gen(function*() {
      const runs = yield* atOnce(many("p", 3), 10)
      assert.equal(new Set(runs.flat()).size, 30)
    })
  ),
  law(
    "begins every run with the same samples, and asks for each once",
    ["remembered"],
    { broken: remembering({ forgets: true }), isScripted: false },
    Effect.gen(function*() {
      const first = yield* many("p", 3)
      assert.deepEqual(yield* many("p", 2), first.slice(0, 2))
      const longer = yield* many("p", 5)
      assert.deepEqual(longer.slice(0, 3), first)
      assert.deepEqual(yield* many("p", 5), longer)
      assert.equal(yield* asked, 5)
    })
  ),
  law(
    "asks once for runs at once",
    ["remembered"],
    { broken: remembering({ asksAgain: true }), latency: "1 second" },
    Effect.gen(function*() {
      const runs = yield* atOnce(many("p", 2), 10)
      assert.equal(new Set(runs.map((texts) => texts.join())).size, 1)
      assert.equal(yield* asked, 2)
    })
  ),
  law(
    "has at hand just the samples of its sequence",
    ["remembered"],
    { broken: remembering({ peeksBehind: true }), isScripted: false },
    Effect.gen(function*() {
      const model = yield* LlmModel.LlmModel
      const key = new Key(model.identity, "p", [])
      if (model.peek === undefined) return
      assert.deepEqual(model.peek(key, 0, 5), [])
      assert.equal(yield* asked, 0)
      const texts = yield* many("p", 3)
      assert.deepEqual(model.peek(key, 0, 5).map(({ text }) => text), texts)
      assert.deepEqual(model.peek(key, 1, 1).map(({ text }) => text), texts.slice(1, 2))
      assert.equal(yield* asked, 3)
    })
  )
]
