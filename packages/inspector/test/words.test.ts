import { assert, describe, it } from "@effect/vitest"
import { Identity } from "@llm-cache/core"
import { Effect } from "effect"
import { tokenChart } from "../src/internal/chart.ts"
import { modelLabel } from "../src/internal/format.ts"
import { equalWords } from "../src/internal/pages/promptTexts.ts"
import { receiptLines } from "../src/internal/runInfo.ts"

const receipt = {
  asked: 1200,
  replayed: 1,
  bought: 2,
  missed: 3,
  bypassed: 4,
  racing: 5,
  reread: 6,
  failed: 7,
  inputTokens: 8,
  outputTokens: 9,
  replayedInputTokens: 10,
  replayedOutputTokens: 11,
  isReplay: false,
  exit: undefined,
  isCut: true
}

describe("Words of the pages", () => {
  it.effect("a model is told by its name, temperature and protocol, and then by its other parameters", () =>
    Effect.gen(function*() {
      const label = (model: string, options: Omit<Parameters<typeof Identity.make>[0], "model">) =>
        Effect.map(Identity.make({ model, ...options }), modelLabel)
      assert.strictEqual(yield* label("gpt-4o", {}), "gpt-4o")
      assert.strictEqual(
        yield* label("gpt-4o", { temperature: 1, parameters: { "llm-cache": "chat" } }),
        "gpt-4o, t=1, chat"
      )
      assert.strictEqual(
        yield* label("gpt-4o", { parameters: { "llm-cache": "chat", top_p: 0.5 } }),
        `gpt-4o, chat, {"top_p":0.5}`
      )
    }))

  it("a receipt has a line of plain words for each of its fields", () => {
    const lines = receiptLines(receipt)
    assert.strictEqual(lines.length, Object.keys(receipt).length)
    for (const [name] of lines) assert.match(name, /^[a-z ,]+$/)
    assert.deepStrictEqual(
      lines.map(([, value]) => value),
      ["1,200", "1", "6", "2", "3", "5", "4", "7", "8", "9", "10", "11", "no", "yes", "none so far"]
    )
  })

  it("samples that are equal are told in a sentence", () => {
    const words = (...counts: ReadonlyArray<number>) => equalWords(counts.map((count, i) => ({ text: `${i}`, count })))
    assert.isUndefined(words(1, 1, 1))
    assert.isUndefined(words())
    assert.strictEqual(words(10), "All 10 samples are equal.")
    assert.strictEqual(words(1, 9), "9 of 10 samples are equal (B); 1 is like no other.")
    assert.strictEqual(words(5, 5), "5 of 10 samples are equal (A), as are 5 others (B).")
    assert.strictEqual(
      words(2, 2, 2, 2, 2, 2, 1, 1),
      "2 of 14 samples are equal (A), as are 2 others (B), 2 others (C), 2 others (D) and " +
        "the samples of 2 more answers; 2 are like no other."
    )
  })

  it("a chart says how long a run had no tokens at its start", () => {
    const bucket = { spent: 0, replayed: 0, asked: 0 }
    const some = { ...bucket, spent: 5 }
    const captionOf = (buckets: ReadonlyArray<typeof bucket>) => tokenChart({ series: { width: 500, buckets } }).text
    assert.include(captionOf([bucket, bucket, some]), "no tokens in the first 1.0 s")
    assert.notInclude(captionOf([some, bucket]), "no tokens")
  })
})
