import { assert, describe, it } from "@effect/vitest"
import { Identity, Key, Repeatable } from "@llm-cache/core"
import { Effect, Schema } from "effect"
import { KeyMap } from "../src/internal/model/keyMap.ts"
import { makeProvider } from "./support/provider.ts"

const KeyOf = Schema.Struct({
  name: Schema.Literals(["m", "m2"]),
  temperature: Schema.Literals([0, 1]),
  prompt: Schema.Literals(["", "a", "[]a"]),
  path: Schema.Literals(["[]", `["a"]`, `["a","b"]`, `["a\\",\\"b"]`, `[""]`])
})

const Step = Schema.Struct({ do: Schema.Literals(["get", "set", "delete"]), key: KeyOf })

describe("KeyMap", () => {
  it.effect.prop("distinguishes keys by identity, path and prompt, and by nothing else", {
    steps: Schema.Array(Step)
  }, ({ steps }) =>
    Effect.gen(function*() {
      const map = new KeyMap<number>()
      const expected = new Map<string, number>()
      for (const [i, { do: action, key }] of steps.entries()) {
        const identity = yield* Identity.make({ model: key.name, temperature: key.temperature })
        const one = new Key.Key(identity, key.prompt, JSON.parse(key.path))
        const id = JSON.stringify(key)
        if (action === "set") {
          map.set(one, i)
          expected.set(id, i)
        } else if (action === "delete") {
          map.delete(one)
          expected.delete(id)
        }
        assert.strictEqual(map.get(one), expected.get(id))
        assert.sameMembers([...map.values()], [...expected.values()])
      }
    }), { arbitrary: { runs: 300 } })

  it.effect("Forks of different paths have different sequences", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const first = (path: ReadonlyArray<string>) =>
        Effect.map(model.draw(new Key.Key(model.identity, "a", path), 0, 1), ([drawn]) => drawn.text)
      const paths = [[], ["x"], ["y"], ["x", "y"]]
      const texts = yield* Effect.forEach(paths, first)
      assert.deepStrictEqual(texts, ["a #0", "a #1", "a #2", "a #3"])
      assert.deepStrictEqual(yield* Effect.forEach(paths, first), texts)
    }))
})
