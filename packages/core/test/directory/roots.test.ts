import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, Persistent } from "@llm-cache/core"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { originalFolder, record, replicate } from "../support/caches.ts"
import { makeDirectory, samplesIn } from "../support/directory.ts"
import { makeProvider, using } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

describe("a root that cannot be used", () => {
  // In a process of its own, because it gives up the rights of root for good.
  const unprivileged = (root: string) => {
    const child = ChildProcess.spawnSync(process.execPath, [
      Path.join(import.meta.dirname, "../support/unprivileged.ts"),
      root
    ], {
      encoding: "utf8"
    })
    assert.strictEqual(child.stderr, "")
    return JSON.parse(child.stdout) as Array<string>
  }

  it.effect("that is a file, or below one, or has no name: a StoreError when the layer is built", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const file = Path.join(root, "file")
      Fs.writeFileSync(file, "precious")
      const provider = yield* makeProvider()
      for (const directory of [file, Path.join(file, "below"), "", "a\u0000b"]) {
        for (const replication of [false, true]) {
          const error = yield* Effect.flip(
            LlmModel.sampleOne("p").pipe(
              Effect.provide(Persistent.layer({ directory, replication })),
              Effect.provide(provider.layer)
            )
          )
          assert.strictEqual(error._tag, "StoreError", directory)
        }
      }
      assert.deepStrictEqual(provider.requests, [])
      assert.strictEqual(Fs.readFileSync(file, "utf8"), "precious")
    }))

  it.effect("that may not be written, or not be read: a StoreError before any request, and not a miss", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 2, provider.model)
      const folder = originalFolder(root, "mock", "1", "p")
      const paths = [folder, Path.dirname(folder), root]
      for (const path of paths) Fs.chmodSync(path, 0o555)
      // Two recorded samples, a third one, and another prompt.
      assert.deepStrictEqual(unprivileged(root), [
        before.join(),
        "StoreError Unavailable",
        "StoreError Unavailable",
        "0 requests"
      ])
      for (const path of paths) Fs.chmodSync(path, 0o000)
      assert.deepStrictEqual(unprivileged(root), [...Array(3).fill("StoreError Unavailable"), "0 requests"])
      for (const path of paths.toReversed()) Fs.chmodSync(path, 0o755)
    }))

  it.effect("that is missing: made when the first sample is recorded, and not by replication", () =>
    Effect.gen(function*() {
      const root = Path.join(yield* makeDirectory, "a", "b")
      const provider = yield* makeProvider()
      const miss = yield* Effect.flip(replicate(root, "p", 1))
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
      assert.isFalse(Fs.existsSync(root))
      yield* record(root, "p", 1, provider.model)
      assert.deepStrictEqual(yield* replicate(root, "p", 1), ["p #0"])
    }))

  it.effect("that becomes unusable during a request: the next draw stores the samples", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const folder = originalFolder(root, "mock", "1", "p")
      const away = Path.join(root, "away")
      provider.gate = Effect.sync(() => {
        Fs.renameSync(folder, away)
        Fs.writeFileSync(folder, "in the way")
      })
      const independent = Effect.gen(function*() {
        const model = yield* Independent.make(yield* Persistent.make(provider.model, yield* directoryStore(root)))
        const error = yield* Effect.flip(LlmModel.sampleMany("p", 3).pipe(using(model)))
        assert.strictEqual(error._tag, "StoreError")
        assert.deepStrictEqual(provider.requests, [3])
        Fs.rmSync(folder)
        Fs.renameSync(away, folder)
        provider.gate = Effect.void
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), provider.given.slice(0, 3))
        assert.deepStrictEqual(provider.requests, [3])
        assert.sameMembers(Object.values(samplesIn(folder)), provider.given)
      })
      yield* Effect.scoped(independent)
    }))
})
