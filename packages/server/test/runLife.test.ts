import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel, Trace } from "@llm-cache/core"
import { Place, Runs } from "@llm-cache/server"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import NodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as Path from "node:path"
import { makeDirectory } from "./support/server.ts"

const makeModel = LlmModel.make({ model: "m", generate: () => Effect.succeed({ samples: ["x"] }) })

const place: Place.Place = { ...Place.root, run: "a", independent: true }

describe("a run with long traces", () => {
  it.live("begins once for two first requests", () =>
    Effect.gen(function*() {
      const model = yield* makeModel
      const key = new Key.Key(model.identity, "p", [])
      const directory = yield* makeDirectory
      yield* Effect.scoped(Effect.gen(function*() {
        const trace = yield* Trace.make({ directory, name: "a" })
        yield* Effect.forEach(Array.from({ length: 5000 }, (_, i) => i), (i) => trace.give(key, [i], "/independent"))
        yield* trace.suspend
      }))
      const runs = yield* Runs.make({ model, trace: { directory } })
      const [one, other] = yield* Effect.all([runs.use("a"), runs.use("a")], { concurrency: 2 })
      assert.strictEqual(one, other)
      assert.strictEqual((yield* Trace.list(directory)).length, 2)
    }))
})

it.effect("a run goes on behind traces that were copied without their names", () =>
  Effect.gen(function*() {
    const model = yield* makeModel
    const directory = yield* makeDirectory
    const begin = Effect.scoped(Effect.gen(function*() {
      const runs = yield* Runs.make({ model, trace: { directory } })
      yield* runs.use("run-7")
    }))
    yield* begin
    NodeFs.rmSync(Path.join(directory, ".runs/.names"), { recursive: true })
    assert.lengthOf(yield* Trace.list(directory, "run-7"), 0)
    yield* begin
    assert.lengthOf(yield* Trace.list(directory, "run-7"), 2)
  }))

describe("a run in a folder of many traces", () => {
  it.live("begins and goes on with one list of all, when the server starts", () =>
    Effect.gen(function*() {
      const model = yield* makeModel
      const directory = yield* makeDirectory
      const listed: Array<string> = []
      const original = NodeFs.readdirSync
      const spy = (...args: Parameters<typeof original>) => {
        listed.push(String(args[0]))
        return original(...args)
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          Object.assign(NodeFs, { readdirSync: spy })
          syncBuiltinESMExports()
        }),
        () =>
          Effect.sync(() => {
            Object.assign(NodeFs, { readdirSync: original })
            syncBuiltinESMExports()
          })
      )
      const begin = Effect.scoped(Effect.gen(function*() {
        const runs = yield* Runs.make({ model, trace: { directory } })
        yield* runs.use("a")
        yield* runs.use("b")
      }))
      yield* begin
      yield* begin
      assert.lengthOf(listed.filter((folder) => folder.endsWith(".runs")), 2, listed.join())
      assert.lengthOf(yield* Trace.list(directory, "a"), 2)
    }))
})

describe("a run without requests", () => {
  it.effect("ends after its time, and each request begins the time anew", () =>
    Effect.gen(function*() {
      const model = yield* makeModel
      const runs = yield* Runs.make({ model, trace: false, idle: Duration.hours(1) })
      yield* runs.use("a")
      yield* TestClock.adjust("59 minutes")
      yield* runs.use("a")
      yield* TestClock.adjust("59 minutes")
      const run = yield* runs.get("a")
      assert.strictEqual(run?.name, "a")
      const reader = yield* run!.model(place, new Key.Key(model.identity, "p", []))
      assert.strictEqual(reader.sequence, "shared")
      yield* TestClock.adjust("2 minutes")
      assert.isUndefined(yield* runs.get("a"))
      assert.deepStrictEqual(yield* runs.list, [])
    }))

  it.effect("ends within twice its time, however short that is", () =>
    Effect.gen(function*() {
      const model = yield* makeModel
      const runs = yield* Runs.make({ model, trace: false, idle: Duration.seconds(5) })
      yield* runs.use("a")
      yield* TestClock.adjust("4 seconds")
      assert.lengthOf(yield* runs.list, 1)
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* runs.list, [])
    }))

  it.effect("has its exit code in its trace, which is 0 after its time", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const model = yield* makeModel
      const runs = yield* Runs.make({ model, trace: { directory }, idle: Duration.seconds(5) })
      yield* runs.use("ended")
      yield* runs.end("ended", 7)
      yield* runs.use("idle")
      yield* TestClock.adjust("10 seconds")
      const exits = yield* Effect.forEach(
        ["ended", "idle"],
        (name) => Effect.flatMap(Trace.list(directory, name), ([run]) => Trace.receipt(run!.file))
      )
      assert.deepStrictEqual(exits.map(({ exit }) => exit), [7, 0])
    }))
})
