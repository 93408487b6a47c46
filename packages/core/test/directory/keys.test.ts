import { assert, describe, it } from "@effect/vitest"
import { Identity, type SampleStore } from "@llm-cache/core"
import { Effect, Result, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { drawn, keyOf } from "../support/caches.ts"
import { makeDirectory } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { directoryStore } from "../support/stack.ts"

describe("the keys of one identity in a directory", () => {
  const promptsOf = (store: SampleStore.Store, identity: Identity.Identity, limit = Infinity) =>
    store.keys({ identity }).pipe(
      Stream.mapEffect(Effect.fromResult),
      Stream.take(limit),
      Stream.map(({ key }) => [key.prompt, ...key.path].join("/")),
      Stream.runCollect
    )

  const fill = Effect.fnUntraced(function*(root: string) {
    const store = yield* directoryStore(root)
    const options: ReadonlyArray<readonly [Partial<Identity.Options>, string, ReadonlyArray<string>?]> = [
      [{}, "a"],
      [{}, "b"],
      [{}, "b", ["trial"]],
      [{}, "c", ["trial"]],
      [{ temperature: 2 }, "hotter"],
      [{ alias: "m_1/inside" }, "inside"],
      [{ parameters: { top_p: 0.5 } }, "parameters"]
    ]
    for (const [identity, prompt, path] of options) {
      yield* store.put(yield* keyOf(identity, prompt, path), [{ position: 0, drawn: drawn("x") }], "drop")
    }
    // Prepared for a request that failed.
    yield* store.prepare(yield* keyOf({}, "without samples"))
    return store
  })

  it.effect("are those of its folder and of no other", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* fill(root)
      const opened: Array<string> = []
      const prompts = yield* promptsOf(store, (yield* keyOf({})).identity).pipe(
        patched(["opendirSync", "readdirSync"], (_, original) => (...args) => {
          opened.push(Path.relative(root, String(args[0])))
          return original(...args)
        })
      )
      assert.sameMembers(prompts, ["a", "b", "b/trial", "c/trial"])
      assert.deepStrictEqual(
        opened.filter((path) => !/^\.purchases$|^m_1(\/[0-9a-f]{64}(\/forks(\/trial)?)?)?$/.test(path)),
        []
      )
      assert.deepStrictEqual(yield* promptsOf(store, (yield* keyOf({ parameters: { top_p: 0.5 } })).identity), [
        "parameters"
      ])
      assert.deepStrictEqual(yield* promptsOf(store, (yield* keyOf({ temperature: 3 })).identity), [])
      assert.deepStrictEqual(yield* promptsOf(store, (yield* keyOf({ alias: ".." })).identity), [])
    }))

  it.effect("are read on demand", () =>
    Effect.gen(function*() {
      const store = yield* fill(yield* makeDirectory)
      let prompts = 0
      const some = yield* promptsOf(store, (yield* keyOf({})).identity, 2).pipe(
        patched(["readFileSync"], (_, original) => (...args) => {
          if (String(args[0]).endsWith("prompt.txt")) prompts++
          return original(...args)
        })
      )
      assert.strictEqual(some.length, 2)
      assert.isAtMost(prompts, 3)
    }))

  it.effect("need no identity.json, which the original does not write", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* fill(root)
      const { identity } = yield* keyOf({ parameters: { top_p: 0.5 } }, "parameters")
      for (
        const folder of [
          "m_1",
          "m_2",
          "m_1/inside_1",
          Path.relative(root, Path.dirname(store.describe(yield* keyOf({ parameters: { top_p: 0.5 } }))))
        ]
      ) Fs.rmSync(Path.join(root, folder, "identity.json"), { force: true })
      assert.deepStrictEqual(yield* promptsOf(store, identity), ["parameters"])
      const all = yield* Stream.runCollect(store.keys())
      assert.deepStrictEqual(
        Array.from(all, (element) => Result.isSuccess(element) ? element.success.key.prompt : "unknown").toSorted(),
        ["a", "b", "b", "c", "hotter", "inside", "unknown"]
      )
    }))

  it.effect("are none if the file system gave its folder to another identity", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const other = yield* keyOf({ model: "M" })
      yield* store.put(other, [{ position: 0, drawn: drawn("x") }], "drop")
      // A file system that ignores case did this, in an earlier version.
      Fs.renameSync(Path.dirname(store.describe(other)), Path.join(root, "m_1"))
      assert.deepStrictEqual(yield* promptsOf(store, (yield* keyOf({})).identity), [])
    }))
})
