import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { runScript } from "./runScript.ts"

/** Parses texts of this length that would stop a parser that goes back, and checks the results. */
export const parseHugeTexts = (length: number) =>
  Effect.gen(function*() {
    const output = yield* runScript("hugeOutputs.ts", `${length}`)
    const results = Object.fromEntries(
      output.trim().split("\n").map((line) => {
        const space = line.indexOf(" ")
        return [line.slice(0, space), JSON.parse(line.slice(space))]
      })
    )
    assert.strictEqual(Object.keys(results).length, 23)
    for (const found of Object.values(results["backticks"])) {
      assert.strictEqual(found, "a code fence that is not closed")
    }
    assert.strictEqual(results["fences"].codes, length / 8)
    assert.strictEqual(results["openings"].tags, "none from here on")
    assert.strictEqual(results["tags"].items, Math.ceil(length / "<t></t>".length))
    assert.strictEqual(results["thoughts"].tags, 0)
    assert.strictEqual(results["thought"].code, "reasoning that is not closed")
    assert.strictEqual(results["drafts"].json, Math.ceil(length / "<think></think>```json\n1```\n".length))
    assert.strictEqual(results["inline"].tags, 0)
    assert.strictEqual(results["brackets"].single, "none from here on")
    assert.strictEqual(results["objects"].json, Math.ceil(length / 99))
    assert.strictEqual(results["deep"].nested, Math.ceil(length / "<t60></t60><t59></t59>".length))
  })
