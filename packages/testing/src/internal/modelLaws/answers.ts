import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import { strict as assert } from "node:assert"
import type { Law } from "../../ModelLaws.ts"
import * as TestModel from "../../TestModel.ts"
import { drawing, eachSample, remembering } from "./brokenModels.ts"
import { all, asked, law, many } from "./law.ts"

/** Repeats a sample where some are missing. */
const filled = drawing((draw) => (key, position, batch, options) =>
  Effect.map(draw(key, position, batch, options), ([first, ...others]) => [
    first,
    ...others,
    ...Array.from({ length: batch - 1 - others.length }, () => first)
  ])
)

/** Answers of every kind are samples, and none is lost. */
export const answers: ReadonlyArray<Law> = [
  law(
    "hands out answers without a text, with their finish reasons",
    all,
    {
      broken: drawing((draw) => (...args) => Effect.repeat(draw(...args), { until: ([{ text }]) => text !== "" })),
      script: [TestModel.cutShort(""), "a", TestModel.refusal("No."), "b"]
    },
    Effect.gen(function*() {
      const samples = yield* LlmModel.sampleManyWithMetadata("p", 4)
      assert.deepEqual(samples.map(({ text }) => text), ["", "a", "", "b"])
      assert.deepEqual(samples.map(({ metadata }) => metadata.finishReason), [
        "length",
        undefined,
        "content_filter",
        undefined
      ])
      assert.equal(samples[2]?.metadata.refusal, "No.")
    })
  ),
  law(
    "keeps what an answer has beside its text",
    all,
    {
      broken: eachSample(({ origins, text }) => ({ text, origins, metadata: {} })),
      script: [{ text: "a", reasoning: "because", rest: { calls: [{ name: "tool", arguments: "{}" }] } }]
    },
    Effect.gen(function*() {
      const [sample] = yield* LlmModel.sampleManyWithMetadata("p", 1)
      assert.equal(sample?.metadata.reasoning, "because")
      assert.deepEqual(sample?.metadata.rest, { calls: [{ name: "tool", arguments: "{}" }] })
    })
  ),
  law(
    "keeps texts to the byte, also equal ones",
    all,
    {
      broken: eachSample((sample) => ({ ...sample, text: sample.text.trim() })),
      script: ["a\r\n\u0000\u{1f600}", "a\r\n\u0000\u{1f600}", " "]
    },
    Effect.map(many("p", 3), (texts) => assert.deepEqual(texts, ["a\r\n\u0000\u{1f600}", "a\r\n\u0000\u{1f600}", " "]))
  ),
  law(
    "asks for the rest of a short answer",
    all,
    { broken: filled, size: () => 1 },
    Effect.map(many("p", 3), (texts) => assert.equal(new Set(texts).size, 3))
  ),
  law(
    "keeps the surplus of an answer",
    ["remembered", "shared"],
    { broken: remembering({ dropsSurplus: true }), size: (n) => n + 2 },
    Effect.gen(function*() {
      const { sequence } = yield* LlmModel.LlmModel
      const first = yield* many("p", 1)
      const rest = sequence === "remembered" ? (yield* many("p", 3)).slice(1) : yield* many("p", 2)
      assert.equal(new Set([...first, ...rest]).size, 3)
      assert.equal(yield* asked, 1)
    })
  )
]
