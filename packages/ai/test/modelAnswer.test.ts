import { assert, describe, it } from "@effect/vitest"
import { ModelAnswer } from "@llm-cache/ai"
import { Effect, Result, Schema } from "effect"
import type { Response } from "effect/ai"
import * as Fs from "node:fs"
import { call, deltas, finish, text } from "./support/scripted.ts"

const golden = (name: string) => Fs.readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8").trimEnd()

const stream: ModelAnswer.Answer = {
  of: "stream",
  parts: [
    { type: "response-metadata", id: "r1", modelId: "m" },
    { type: "reasoning-start", id: "r" },
    { type: "reasoning-delta", id: "r", delta: "h" },
    { type: "reasoning-delta", id: "r", delta: "m" },
    { type: "reasoning-end", id: "r", metadata: { p: { signature: "s" } } },
    ...deltas("a\r", "\nb", "\u2028"),
    call("c1", "weather", { city: "Rome" })
  ]
}

const object: ModelAnswer.Answer = {
  of: "whole",
  parts: [text("{\"a\":1}"), finish()],
  object: { _tag: "Value", value: { a: 1 } }
}

describe("ModelAnswer", () => {
  it("writes and reads the answers of the golden files", () => {
    assert.strictEqual(ModelAnswer.encode(stream), golden("stream.txt"))
    assert.strictEqual(ModelAnswer.encode(object), golden("object.txt"))
    assert.deepStrictEqual(ModelAnswer.decode(golden("stream.txt")), Result.succeed(stream))
    assert.deepStrictEqual(ModelAnswer.decode(golden("object.txt")), Result.succeed(object))
  })

  it("puts a stream together, and takes a whole answer apart", () => {
    assert.deepStrictEqual(ModelAnswer.toParts(stream), [
      { type: "response-metadata", id: "r1", modelId: "m" },
      { type: "reasoning", text: "hm", metadata: { p: { signature: "s" } } },
      text("a\r\nb\u2028"),
      finish(),
      call("c1", "weather", { city: "Rome" })
    ])
    const parts: ReadonlyArray<Response.PartEncoded> = [
      { ...text("a"), metadata: { p: { id: "i" } } },
      text("b"),
      { type: "reasoning", text: "c" },
      finish()
    ]
    const apart = ModelAnswer.toStream({ of: "whole", parts })
    assert.deepStrictEqual(ModelAnswer.toParts({ of: "stream", parts: apart }), parts)
  })

  it("keeps a text without an end, and no reasoning without one", () => {
    const parts: ReadonlyArray<Response.StreamPartEncoded> = [
      { type: "text-start", id: "1" },
      { type: "text-delta", id: "1", delta: "a" },
      { type: "reasoning-start", id: "1" },
      { type: "reasoning-delta", id: "1", delta: "b" },
      { type: "text-delta", id: "unknown", delta: "c" }
    ]
    assert.deepStrictEqual(ModelAnswer.toParts({ of: "stream", parts }), [text("a")])
  })

  it.effect.prop(
    "reads back every list of deltas, whatever their ids and texts are",
    [
      Schema.Array(Schema.Struct({
        type: Schema.Literals(["text-delta", "reasoning-delta", "tool-params-delta"]),
        id: Schema.Literals(["0", "1"]),
        delta: Schema.String
      }))
    ],
    ([parts]) =>
      Effect.sync(() => {
        const answer: ModelAnswer.Answer = { of: "stream", parts }
        const written = ModelAnswer.encode(answer)
        assert.isTrue(written.isWellFormed())
        assert.deepStrictEqual(ModelAnswer.decode(written), Result.succeed(answer))
      })
  )

  it("says why a text is no answer", () => {
    const reasons = ["92", "no", `{"answer":"effect/ai/0"}`, `${golden("object.txt")}\n7`].map((text) =>
      Result.match(ModelAnswer.decode(text), { onFailure: (reason) => reason, onSuccess: () => "an answer" })
    )
    assert.deepStrictEqual(reasons, [
      "the first line has no version",
      "line 1 is no JSON",
      `its version is "effect/ai/0", and this package reads effect/ai/1`,
      "line 5 is no part"
    ])
  })

  it("gives the tokens, the model, the id and the finish reason", () => {
    const { samples: [sample], ...counts } = ModelAnswer.toGeneration(stream)
    assert.deepStrictEqual(counts, { responseId: "r1", model: "m", inputTokens: 3, outputTokens: 5 })
    assert.strictEqual(typeof sample === "object" ? sample.finishReason : "", "stop")
  })
})
