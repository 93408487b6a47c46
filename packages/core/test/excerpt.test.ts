import { assert, describe, it } from "@effect/vitest"
import { contrast, excerpt } from "../src/internal/errors/excerpt.ts"

describe("An excerpt", () => {
  const text = "abcdefghijklmnopqrstuvwxyz"

  it("has dots only at an end where text is left out", () => {
    assert.strictEqual(excerpt(text, 20, 6), `"${text}"`)
    assert.strictEqual(excerpt(text, 20, 5), `"${text.slice(0, 25)}"…`)
    assert.strictEqual(excerpt(text, 21, 5), `…"${text.slice(1)}"`)
    assert.strictEqual(excerpt(text, 26), `…"${text.slice(6)}"`)
    assert.strictEqual(excerpt("", 0), "\"\"")
  })

  it("shows what a terminal would not show", () => {
    assert.strictEqual(
      excerpt("a\u00a0\u200b\u202e\u{e0001}\u007f\ud800 é", 0),
      `"a\\u00a0\\u200b\\u202e\\u{E0001}\\u007f\ufffd é"`
    )
  })

  it("has code points beside another one only if both look alike", () => {
    assert.deepStrictEqual(contrast("red", "rad", 1), [`"red"`, `"rad"`])
    assert.deepStrictEqual(contrast("o0", "oO", 1), [`"o0" (U+0030)`, `"oO" (U+004F)`])
  })
})
