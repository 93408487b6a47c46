import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { strict as assert } from "node:assert"
import type { Law } from "../../ModelLaws.ts"
import * as TestModel from "../../TestModel.ts"
import { drawing, eager } from "./brokenModels.ts"
import { all, asked, law, many } from "./law.ts"

/** How many samples a model asks for. */
export const demand: ReadonlyArray<Law> = [
  law(
    "asks for nothing before a run takes a sample",
    all,
    { broken: eager, isScripted: false },
    Effect.gen(function*() {
      yield* Stream.runDrain(Stream.take(LlmModel.sample("p"), 0))
      assert.equal(yield* asked, 0)
    })
  ),
  law(
    "asks for no more samples than a run takes",
    all,
    { broken: drawing((draw) => (key, position, batch) => draw(key, position, batch + 1)), isScripted: false },
    Effect.gen(function*() {
      const texts = yield* Stream.runCollect(Stream.take(LlmModel.sample("p"), 3))
      assert.equal(texts.length, 3)
      assert.equal(yield* asked, 3)
    })
  ),
  law(
    "asks for samples in the batches that the consumer wants",
    all,
    { broken: drawing((draw) => (key, position) => draw(key, position, 1)) },
    Effect.gen(function*() {
      assert.equal((yield* many("p", 4)).length, 4)
      const { requests } = yield* TestModel.TestModel
      assert.deepEqual(requests.map(({ n }) => n), [4])
    })
  )
]
