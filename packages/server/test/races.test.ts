import { assert, describe, it } from "@effect/vitest"
import { Identity, Key } from "@llm-cache/core"
import { Effect } from "effect"
import { Races } from "../src/internal/races.ts"

describe("requests that overlap", () => {
  it.effect("race with each other, also if one ends before the other draws", () =>
    Effect.gen(function*() {
      const identity = yield* Identity.make({ model: "m" })
      const key = new Key.Key(identity, "p", [])
      const races = new Races()
      const [first, second, ofFork] = [
        races.begin(key),
        races.begin(key),
        races.begin(new Key.Key(identity, "p", ["a"]))
      ]
      assert.isFalse(first.draw())
      first.end()
      assert.isFalse(ofFork.draw())
      assert.isTrue(second.draw())
      second.end()
      // Nobody else is there.
      assert.isFalse(races.begin(key).draw())
    }))

  it.effect("are known as long as one of them is open", () =>
    Effect.gen(function*() {
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      const races = new Races()
      const [first, second] = [races.begin(key), races.begin(key)]
      first.end()
      const third = races.begin(key)
      assert.isFalse(second.draw())
      assert.isTrue(third.draw())
    }))
})
