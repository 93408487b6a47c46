import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeKeys } from "../src/internal/keys.ts"

/** A text of its own, as each request has. */
const fresh = (text: string): string => Buffer.from(text).toString()

const form = (prompt: string, parameters = {}) => ({ prompt: fresh(prompt), temperature: 1, parameters })

describe("the keys of requests", () => {
  it.effect("are one object while model, prompt and forks are equal", () =>
    Effect.gen(function*() {
      const keyOf = makeKeys()
      const first = yield* keyOf("m", form("p"), ["a", "b"])
      assert.strictEqual(yield* keyOf("m", form("p"), ["a", "b"]), first)
      for (
        const [model, prompt, parameters, forks] of [
          ["m", "p", {}, ["a"]],
          ["m", "p", {}, []],
          ["m", "q", {}, ["a", "b"]],
          ["n", "p", {}, ["a", "b"]],
          ["m", "p", { top_p: 0.5 }, ["a", "b"]],
          ["m", "p", {}, ["b", "a"]]
        ] as const
      ) {
        const key = yield* keyOf(model, form(prompt, parameters), forks)
        assert.deepStrictEqual([key.identity.name, key.prompt, key.path], [model, prompt, forks])
        assert.notStrictEqual(key, first)
        assert.strictEqual(yield* keyOf(model, form(prompt, parameters), [...forks]), key)
      }
      assert.strictEqual((yield* keyOf("m", form("p"), ["a", "b"])).identity, first.identity)
    }))

  it.effect("are right for more text than is kept, and for a prompt that is longer than that", () =>
    Effect.gen(function*() {
      const keyOf = makeKeys()
      const prompts = Array.from({ length: 40 }, (_, i) => `${i} ${"x".repeat(i === 20 ? 9_000_000 : 500_000)}`)
      for (const prompt of [...prompts, ...prompts.toReversed()]) {
        const key = yield* keyOf("m", form(prompt), [])
        assert.isTrue(key.prompt === prompt)
      }
    }))

  it.effect("are kept for the last prompts, also if all are short", () =>
    Effect.gen(function*() {
      const keyOf = makeKeys()
      const first = yield* keyOf("m", form("first"), [])
      for (let i = 0; i < 100_000; i++) yield* keyOf("m", form(`${i}`), [])
      const again = yield* keyOf("m", form("first"), [])
      assert.notStrictEqual(again, first)
      assert.strictEqual(again.identity, first.identity)
    }))
})
