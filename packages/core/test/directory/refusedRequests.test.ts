import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Fork, Key, LlmModel, Persistent, type SampleStore } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { drawn, record } from "../support/caches.ts"
import { makeDirectory, readTree, settled } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeGate, makeProvider, using } from "../support/provider.ts"

/** The names of all files and folders below a folder. */
const namesIn = (folder: string) => Fs.readdirSync(folder, { recursive: true }).map(String).sort()

const forked = Fork.fork("a")(Fork.fork("b")(LlmModel.sampleOne("p")))

describe("A request that brought no sample", () => {
  it.effect.each(["mock", "org/group/mock", "Mock"])("leaves no folder behind (%s)", (model) =>
    Effect.gen(function*() {
      const above = yield* makeDirectory
      for (const program of [LlmModel.sampleOne("p"), forked, Fork.fork("x".repeat(300))(LlmModel.sampleOne("p"))]) {
        const provider = yield* makeProvider({ model })
        provider.failures = 1
        const layer = Persistent.layer({ directory: Path.join(above, "root") })
        const draws = Effect.gen(function*() {
          yield* Effect.flip(program)
          assert.deepStrictEqual(namesIn(above), [])
          // The next request has all of it again.
          return yield* program
        })
        assert.strictEqual(yield* draws.pipe(Effect.provide(layer), using(provider.model)), "p #0")
        yield* settled(Path.join(above, "root"))
        const files = Object.keys(readTree(above)).map((file) => Path.basename(file))
        assert.includeMembers(files, [".gitattributes", "identity.json", "prompt.txt", "0.md", "0-255.jsonl"])
        Fs.rmSync(Path.join(above, "root"), { recursive: true })
      }
    }).pipe(Effect.scoped))

  it.effect("leaves a root as it was that was there before", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      provider.failures = 1
      yield* Effect.flip(record(root, "p", 1, provider.model))
      assert.deepStrictEqual(namesIn(root), [".gitattributes"])
    }).pipe(Effect.scoped))

  it.effect("leaves no folder behind if it was interrupted", () =>
    Effect.gen(function*() {
      const above = yield* makeDirectory
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const fiber = yield* Effect.forkChild(record(Path.join(above, "root"), "p", 1, provider.model), {
        startImmediately: true
      })
      while (provider.underWay === 0) yield* Effect.yieldNow
      assert.notDeepEqual(namesIn(above), [])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(namesIn(above), [])
    }).pipe(Effect.scoped))

  it.effect("leaves the samples of its prompt, of its forks and of other prompts", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "other", 1, provider.model)
      yield* settled(root)
      const draw = <E>(program: Effect.Effect<unknown, E, LlmModel.LlmModel>) =>
        Effect.exit(program).pipe(Effect.provide(Persistent.layer({ directory: root })), using(provider.model))
      const before = readTree(root)
      provider.failures = 2
      yield* draw(LlmModel.sampleOne("p"))
      yield* draw(forked)
      assert.deepStrictEqual(readTree(root), before)
      yield* draw(forked)
      yield* settled(root)
      const withFork = readTree(root)
      provider.failures = 2
      yield* draw(LlmModel.sampleOne("p"))
      yield* draw(Fork.fork("a")(LlmModel.sampleOne("p")))
      yield* draw(LlmModel.sampleMany("other", 2))
      assert.deepStrictEqual(readTree(root), { ...withFork, ...readTree(root) })
    }).pipe(Effect.scoped))
})

describe("The folder of a key without samples is discarded", () => {
  const opened = Effect.fnUntraced(function*() {
    const root = Path.join(yield* makeDirectory, "root")
    const store: SampleStore.Store = yield* DirectoryStore.make(root)
    const key = new Key.Key((yield* makeProvider()).model.identity, "p", [])
    return { root, store, key, discard: store.discard!(key) }
  })

  it.effect("twice, and without being there", () =>
    Effect.gen(function*() {
      const { discard, key, root, store } = yield* opened()
      yield* discard
      yield* store.prepare(key)
      yield* discard
      yield* discard
      assert.isFalse(Fs.existsSync(root))
      yield* store.put(key, [{ position: 0, drawn: drawn("x") }], "drop")
      yield* discard
      assert.deepStrictEqual(yield* store.get(key, 0), drawn("x"))
      assert.isTrue(Fs.existsSync(Path.join(store.describe(key), "prompt.txt")))
    }).pipe(Effect.scoped))

  it.effect("and is chosen anew, as another process may take its name for another model", () =>
    Effect.gen(function*() {
      const { discard, key, root, store } = yield* opened()
      yield* store.prepare(key)
      assert.include(store.describe(key), "mock_1/")
      yield* discard
      Fs.mkdirSync(Path.join(root, "MOCK_1"), { recursive: true })
      assert.include(store.describe(key), "mock_1_n-")
    }).pipe(Effect.scoped))

  it.effect.runIf(process.platform === "linux")(
    "without a trace in folders that have samples, nor open files",
    () =>
      Effect.gen(function*() {
        const { discard, key, store } = yield* opened()
        yield* store.put(key, [{ position: 0, drawn: drawn("x") }], "drop")
        const changed = () => Fs.statSync(Path.join(store.describe(key), "prompt.txt")).ctimeMs
        const openFiles = () => Fs.readdirSync("/proc/self/fd").length
        const before = [changed(), openFiles()]
        for (let i = 0; i < 10; i++) yield* discard
        assert.strictEqual(changed(), before[0])
        assert.isAtMost(openFiles(), before[1]!)
      }).pipe(Effect.scoped)
  )

  it.effect("and keeps its explanation if another process writes there meanwhile", () =>
    Effect.gen(function*() {
      const { discard, key, root, store } = yield* opened()
      yield* store.prepare(key)
      const folder = store.describe(key)
      for (const raced of [folder, Path.dirname(folder)]) {
        yield* store.prepare(key)
        const before = readTree(root)
        const racing = patched(["rmdirSync"], (_, original) => (...args) => {
          if (args[0] === raced) Fs.writeFileSync(Path.join(raced, "other"), "x")
          return original(...args)
        })
        yield* racing(discard)
        const kept = Object.fromEntries(
          Object.entries(before).filter(([file]) => raced === folder || Path.basename(file) !== "prompt.txt")
        )
        assert.deepStrictEqual(readTree(root), { ...kept, [Path.relative(root, Path.join(raced, "other"))]: "x" })
        Fs.rmSync(Path.join(raced, "other"))
      }
    }).pipe(Effect.scoped))
})
