import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Identity, Key, type Sample, StoreRow } from "../src/index.ts"

const Count = Schema.Literals([0, 1, 17, 4_000_000_000])

const Drawn = Schema.Struct({
  text: Schema.String,
  metadata: Schema.Struct({
    request: Schema.optionalKey(Schema.String),
    index: Schema.optionalKey(Count),
    model: Schema.optionalKey(Schema.String),
    finishReason: Schema.optionalKey(Schema.String),
    createdAt: Schema.optionalKey(Count),
    elapsed: Schema.optionalKey(Schema.Literals([0, 12.5, 1234])),
    requestSamples: Schema.optionalKey(Count),
    inputTokens: Schema.optionalKey(Count),
    outputTokens: Schema.optionalKey(Count),
    refusal: Schema.optionalKey(Schema.String),
    rest: Schema.optionalKey(Schema.Struct({ a: Schema.Array(Count), b: Schema.optionalKey(Schema.String) })),
    later: Schema.optionalKey(Schema.Struct({ field: Schema.Array(Count) }))
  }),
  origins: Schema.Array(Count)
})

const unquote = (value: unknown): string | undefined => typeof value === "string" ? value.slice(1) : undefined

const sample: Sample.Drawn = { text: "caf\u00E9", metadata: { finishReason: "stop" }, origins: [3, 0] }

describe("a row", () => {
  it.effect.prop("of columns gives its sample back, with any form of numbers", [Drawn], ([drawn]) =>
    Effect.sync(() => {
      const row = StoreRow.encode(drawn, (text) => `'${text}`)
      assert.strictEqual(row.length, 1 + StoreRow.columns.length)
      assert.deepStrictEqual(StoreRow.decode(row, unquote), drawn)
      const numbers = row.map((value) => Number.isSafeInteger(value) ? BigInt(value as number) : value)
      assert.deepStrictEqual(StoreRow.decode(numbers, unquote), drawn)
    }))

  it.effect.prop(
    "in JSON gives its sample back",
    [Drawn],
    ([drawn]) => Effect.sync(() => assert.deepStrictEqual(StoreRow.fromJson(StoreRow.toJson(drawn)), drawn))
  )

  it.each([
    ["another text", 0, "'cafe"],
    ["no text", 0, 7],
    ["another length", 1, 4],
    ["another checksum", 2, 0],
    ["broken JSON for its origins", 3, "[3"],
    ["origins other than positions", 3, `["3"]`],
    ["broken JSON for its other metadata", 13, "{"],
    ["other metadata that are no object", 13, "[1]"]
  ])("with %s is damaged", (_, column, value) => {
    const row = StoreRow.encode(sample, (text) => `'${text}`).with(column, value)
    assert.isUndefined(StoreRow.decode(row, unquote))
  })

  it("with another rest of the answer is damaged, also in JSON", () => {
    const drawn = { ...sample, metadata: { rest: { call: "f(1)" } } }
    const row = StoreRow.encode(drawn, (text) => `'${text}`)
    const json = StoreRow.toJson(drawn)
    for (const [before, after] of [["f(1)", "f(2)"], [`"rest"`, `"best"`], [`{"call":"f(1)"}`, "7"]] as const) {
      assert.isUndefined(StoreRow.decode(row.with(13, String(row[13]).replace(before, after)), unquote), after)
      assert.isUndefined(StoreRow.fromJson(json.replace(before, after)), after)
    }
  })

  it("may leave the length to the engine, and the origins out", () => {
    const row = StoreRow.encode({ ...sample, origins: [] }, (text) => `'${text}`)
    assert.deepStrictEqual(StoreRow.decode(row.with(1, null).with(3, null), unquote), { ...sample, origins: [] })
  })
})

it.effect("a key comes back from its identity, path and prompt, or not at all", () =>
  Effect.gen(function*() {
    const key = new Key.Key(yield* Identity.make({ model: "m", temperature: 1 }), "a prompt", ["fork"])
    assert.deepStrictEqual(StoreRow.decodeKey(key.identity.id, key.path, key.prompt)?.path, key.path)
    for (
      const broken of [
        StoreRow.decodeKey("[", key.path, key.prompt),
        StoreRow.decodeKey(null, key.path, key.prompt),
        StoreRow.decodeKey(key.identity.id, "fork", key.prompt),
        StoreRow.decodeKey(key.identity.id, [1], key.prompt),
        StoreRow.decodeKey(key.identity.id, key.path, undefined)
      ]
    ) assert.isUndefined(broken)
  }))
