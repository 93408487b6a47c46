import { assert, describe, it } from "@effect/vitest"
import { InvalidInput, Output } from "@llm-cache/core"
import { Effect, Result, Schema } from "effect"

const { code, json, parse, parseResult, repeat, sequence, tag, text } = Output

describe("Output.parseResult", () => {
  it.effect("reads at once what parse reads, and fails as it does", () =>
    Effect.gen(function*() {
      const spec = sequence([tag("a", repeat(tag("b"))), repeat(code()), text])
      for (const sample of ["<a><b>1</b><b>2</b></a>\n```\nx\n```\nrest", "<a>1</a>", "<a>", "none"]) {
        assert.deepStrictEqual(parseResult(spec)(sample), yield* Effect.result(parse(spec)(sample)))
      }
      assert.deepStrictEqual(Result.map(parseResult(tag("a"))("<a>1</a>"), (value) => value), Result.succeed("1"))
    }))

  it.effect("throws an InvalidInput for a spec with a json anywhere", () =>
    Effect.sync(() => {
      const item = json(Schema.String)
      for (const spec of [item, tag("a", item), repeat(item), repeat(sequence([tag("a"), repeat(tag("b", item))]))]) {
        assert.throws(() => parseResult(spec as Output.Spec<unknown>), InvalidInput.InvalidInput, /Output\.parse`/)
      }
    }))
})

it.effect("Output.parse of a spec without json is synchronous", () =>
  Effect.sync(() => assert.strictEqual(Effect.runSync(parse(tag("a", text))("<a>1</a>")), "1")))
