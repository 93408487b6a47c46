import { assert, describe } from "@effect/vitest"
import type { Sample } from "@llm-cache/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { texts } from "../values.ts"
import { entry, listed, makeKey, nonEmpty, putTexts, type Subject, textsOf } from "./subject.ts"

/** A new field has to be added here, so that every store is tested with it. */
const allMetadata: Required<Sample.Metadata> = {
  request: "a request",
  index: 1,
  model: "gpt-4o",
  finishReason: "stop",
  refusal: "I'm sorry, \0 \uD800 \u{1F600}\r\n\"quoted\"",
  reasoning: "First, ".repeat(5000),
  responseId: "chatcmpl-1",
  createdAt: 1_760_000_000_123,
  elapsed: 12.5,
  requestSamples: 2,
  inputTokens: 3,
  outputTokens: 4,
  rest: {
    tool_calls: [{ id: "call_1", function: { name: "f", arguments: "{\"a\": 1,\r\n\"b\":\"\0\uD800\"}" } }],
    logprobs: [-0.1, 1e-300, 1.7976931348623157e308, 0.1 + 0.2, 9007199254740991, -7],
    "\u{1F600}\uDC00\0\u2028": "\u{1F469}\u200D\u{1F469}\uFEFF\uFFFF",
    ["__proto__"]: { constructor: null },
    "10": true,
    "9": [[], {}, "", [null, false]],
    long: "First, ".repeat(5000)
  }
}

export const roundTrips = ({ open, other, test }: Subject): void => {
  describe("returns the samples that were put", () => {
    for (const [what, text] of texts) {
      test(`to the byte: ${what}`, () =>
        Effect.gen(function*() {
          const key = yield* makeKey({ prompt: text })
          const store = yield* open
          yield* putTexts(store, key, [0, text], [1, `${text}.`])
          const again = yield* other(store)
          assert.deepStrictEqual(yield* textsOf(again, key), [text, `${text}.`])
          assert.strictEqual((yield* listed(again, key.identity))[0]?.key.prompt, text)
        }))
    }

    test("any text to the byte", () =>
      Effect.gen(function*() {
        const store = yield* open
        const texts = yield* Arbitrary.sampleEffect(Arbitrary.schema(Schema.String), { count: 200 })
        const key = yield* makeKey()
        yield* store.prepare(key)
        for (const [i, text] of texts.entries()) yield* putTexts(store, key, [i, text.toWellFormed()])
        assert.deepStrictEqual(yield* textsOf(store, key), texts.map((text) => text.toWellFormed()))
      }))

    test("with their metadata and origins", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const samples: Array<Sample.Drawn> = [
          { text: "a", metadata: {}, origins: [] },
          {
            text: "b",
            metadata: {
              request: "3f9c6d5e-0b1a-4c57-8f0e-5d0d2b7a9c11",
              index: 2,
              model: "gpt-4o-2024-08-06 \u{1F600}",
              finishReason: "length",
              createdAt: 1_760_000_000_123,
              elapsed: 1234,
              requestSamples: 3,
              inputTokens: 17,
              outputTokens: 2_000_000_000
            },
            origins: [3, 0, 4_000_000_000]
          },
          { text: "c", metadata: { elapsed: 0.25, inputTokens: 0 }, origins: [0] }
        ]
        yield* store.put(key, [{ position: 0, drawn: samples[0]! }], "drop")
        yield* store.put(key, [{ position: 1, drawn: samples[1]! }, { position: 2, drawn: samples[2]! }], "append")
        const again = yield* other(store)
        assert.deepStrictEqual(yield* Effect.forEach([0, 1, 2], (i) => again.get(key, i)), samples)
      }))

    test("with all fields of metadata", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* store.put(key, [{ position: 0, drawn: { text: "a", metadata: allMetadata, origins: [7] } }], "drop")
        yield* store.put(key, [{ position: 1, drawn: { text: "b", metadata: { refusal: "" }, origins: [] } }], "drop")
        const again = yield* other(store)
        assert.deepStrictEqual(yield* Effect.forEach([0, 1], (i) => again.get(key, i)), [
          { text: "a", metadata: allMetadata, origins: [7] },
          { text: "b", metadata: { refusal: "" }, origins: [] }
        ])
      }))

    test("with what else was in their answers, and without it", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const rests: ReadonlyArray<Sample.JsonObject | undefined> = [
          { restCrc32: 1, crc32: 7, text: "not the text", bytes: -1 },
          undefined,
          {},
          { a: "b" },
          undefined
        ]
        const entries = rests.map((rest, position) => ({
          position,
          drawn: { text: "the same", metadata: rest === undefined ? {} : { rest }, origins: [] }
        }))
        yield* store.put(key, nonEmpty(entries.slice(0, 1)), "drop")
        yield* store.put(key, nonEmpty(entries.slice(1)), "drop")
        const again = yield* other(store)
        const restsOf = (samples: ReadonlyArray<Sample.Drawn>) =>
          samples.map(({ metadata }) => [metadata.rest, Object.keys(metadata)])
        const expected = rests.map((rest) => [rest, rest === undefined ? [] : ["rest"]])
        assert.deepStrictEqual(restsOf(yield* again.getMany(key, 0, 9)), expected)
        assert.deepStrictEqual(
          restsOf(
            yield* Effect.forEach(rests, (_, i) => again.getMany(key, i, 1)).pipe(
              Effect.map((samples) => samples.flat())
            )
          ),
          expected
        )
        assert.deepStrictEqual(restsOf(again.peek?.(key, 0, 9) ?? []), again.peek === undefined ? [] : expected)
        yield* again.remove(key, [0])
        yield* again.put(key, [{ position: 0, drawn: { text: "the same", metadata: {}, origins: [] } }], "drop")
        assert.deepStrictEqual((yield* store.get(key, 0))?.metadata, {})
      }))

    test("of 200 prompts, and 1,000 of one prompt", () =>
      Effect.gen(function*() {
        const store = yield* open
        const key = yield* makeKey()
        const entries = Array.from({ length: 1000 }, (_, i) => entry(i, `sample ${i}`))
        for (let i = 0; i < entries.length; i += 100) {
          yield* store.put(key, nonEmpty(entries.slice(i, i + 100)), "drop")
        }
        const keys = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => `prompt ${i}`),
          (prompt) => makeKey({ prompt })
        )
        yield* Effect.forEach(keys, (key) => putTexts(store, key, [0, `of ${key.prompt}`]), { concurrency: 20 })
        const again = yield* other(store)
        assert.deepStrictEqual(yield* textsOf(again, key), entries.map(({ drawn }) => drawn.text))
        for (const key of keys) assert.deepStrictEqual(yield* textsOf(again, key), [`of ${key.prompt}`])
      }))
  })
}
