import { assert, describe, it } from "@effect/vitest"
import { LlmModel, Persistent, type SampleError, type SampleStore, Transfer } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { drawn, keyOf } from "../support/caches.ts"
import { makeDirectory, readTree, samplesIn, settled } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider, using } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

const named = (text: string, position: number, request = "r") => ({
  position,
  drawn: drawn(text, { metadata: { request, index: position }, origins: [position] })
})

/** Holds up forced writes until they are let through, and counts them. */
const holding = () => {
  const waiting: Array<() => void> = []
  let isOpen = false
  const held = {
    count: 0,
    open: () => {
      isOpen = true
      for (const go of waiting.splice(0)) go()
    },
    patch: patched(["fsync"], (_, original) => (...args) => {
      held.count++
      if (isOpen) original(...args)
      else waiting.push(() => original(...args))
    })
  }
  return held
}

describe("a sample that a directory recorded", () => {
  it.effect("is forced in the write-ahead log before it is handed out, and its files before the log is removed", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const key = yield* keyOf({})
      yield* store.prepare(key)
      const folder = store.describe(key)
      const names = new Map<number, string>()
      const calls: Array<string> = []
      const nameOf = (path: string) => Path.relative(root, path).replace(/[^/]+_\d+\.jsonl$/, "log") || "root"
      const noting = patched(
        ["openSync", "open", "fsync", "appendFileSync", "linkSync", "unlinkSync"],
        (name, original) => (...args): unknown => {
          if (name === "openSync") {
            const descriptor = original(...args) as number
            names.set(descriptor, nameOf(String(args[0])))
            return descriptor
          }
          if (name === "open") {
            const path = nameOf(String(args[0]))
            return original(args[0], args[1], (fault: unknown, descriptor: number) => {
              if (fault === null) names.set(descriptor, path)
              args[2](fault, descriptor)
            })
          }
          const file = typeof args[0] === "number"
            ? names.get(args[0])
            : nameOf(String(args[name === "linkSync" ? 1 : 0]))
          if (!file!.endsWith(".tmp")) calls.push(`${name} ${file}`)
          if (name !== "fsync") return original(...args)
          return original(args[0], (fault: unknown) => {
            calls.push(`forced ${file}`)
            args[1](fault)
          })
        }
      )
      yield* noting(Effect.gen(function*() {
        yield* store.put(key, [named("a", 0)], "append")
        calls.push("returned")
        yield* settled(root)
      }))
      const [relative, first] = [Path.relative(root, folder), (call: string) => calls.indexOf(call)]
      const sequences = [
        ["appendFileSync .purchases/log", "linkSync 0.md", "fsync .purchases/log", "forced .purchases/log"],
        ["forced .purchases/log", "fsync .purchases", "forced .purchases", "forced root", "returned"],
        ["returned", "fsync 0.md", "forced 0.md", "fsync ", "forced ", "unlinkSync .purchases/log"],
        ["returned", "fsync 0-255.jsonl", "forced 0-255.jsonl", "fsync "],
        ["returned", "fsync prompt.txt", "forced prompt.txt", "fsync "]
      ].map((calls) =>
        calls.map((call) => call.replace(/ (0\S+|prompt.txt|)$/, (_, name) => ` ${Path.join(relative, name)}`))
      )
      for (const sequence of sequences) {
        for (const [i, call] of sequence.entries()) {
          assert.isAtLeast(first(call), 0, call)
          if (i > 0) assert.isBelow(first(sequence[i - 1]!), first(call), `${sequence[i - 1]} before ${call}`)
        }
      }
    }))

  it.effect("shares its forced write with draws that land together", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const keys = yield* Effect.forEach(Array.from({ length: 64 }, (_, i) => `${i}`), (prompt) => keyOf({}, prompt))
      const held = holding()
      yield* held.patch(Effect.gen(function*() {
        const puts = yield* Effect.forkChild(
          Effect.forEach(keys, (key) => store.put(key, [named("x", 0)], "append"), { concurrency: "unbounded" })
        )
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        assert.strictEqual(held.count, 1)
        held.open()
        yield* Fiber.join(puts)
        // Two of the log, and three of the folders that lead to it.
        assert.isAtMost(held.count, 5)
      }))
    }))

  it.effect("is not handed out by another draw before it is forced", () =>
    Effect.gen(function*() {
      const store = yield* directoryStore(yield* makeDirectory)
      const key = yield* keyOf({})
      const held = holding()
      yield* held.patch(Effect.gen(function*() {
        const put = yield* Effect.forkChild(store.put(key, [named("x", 0)], "append"))
        const read = yield* Effect.forkChild(store.getMany(key, 0, 1))
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        assert.strictEqual(held.count, 1)
        assert.deepStrictEqual(store.peek!(key, 0, 1), [])
        assert.isUndefined(read.pollUnsafe())
        held.open()
        yield* Fiber.join(put)
        assert.strictEqual((yield* Fiber.join(read))[0]!.text, "x")
        assert.strictEqual(store.peek!(key, 0, 1)[0]!.text, "x")
      }))
    }))

  it.effect("is not forced with the durability of a process, and a request of several leaves no log", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root, { durability: "process" })
      const held = holding()
      yield* held.patch(store.put(yield* keyOf({}), [named("a", 0)], "append"))
      yield* held.patch(store.put(yield* keyOf({}), [named("b", 1), named("c", 2)], "append"))
      assert.strictEqual(held.count, 0)
      assert.deepStrictEqual(Fs.readdirSync(Path.join(root, ".purchases")), [])
    }))

  it.effect("is reported as not stored if the forced write fails, and the next draw stores it at its position", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        const failing = patched(["fsync"], () => (...args) => {
          setImmediate(() => args[1](Object.assign(new Error("EIO: i/o error"), { code: "EIO" })))
        })
        const error = yield* Effect.flip(failing(LlmModel.sampleMany("p", 2).pipe(using(model))))
        assert.strictEqual((error as { kind?: string }).kind, "Unavailable")
        // Its files are there, and are not handed out before they are forced.
        assert.strictEqual(Object.keys(samplesIn(root)).length, 2)
        const again = yield* Effect.flip(failing(LlmModel.sampleMany("p", 2).pipe(using(model))))
        assert.strictEqual((again as { kind?: string }).kind, "Unavailable")
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 2).pipe(using(model)), ["p #0", "p #1"])
      }))
      assert.deepStrictEqual(provider.requests, [2])
      yield* settled(root)
    }))
})

describe("after a power failure", () => {
  /** Records samples, and returns the forced files at the end of the last draw: the write-ahead log. */
  const record = Effect.fnUntraced(
    function*(root: string, use: (store: SampleStore.Store) => Effect.Effect<unknown, SampleError.StoreError>) {
      const store = yield* directoryStore(root)
      yield* Effect.orDie(use(store))
      return { store, log: readTree(Path.join(root, ".purchases")) }
    }
  )

  /** A root with the files of the log as another start of the system left them, and with the files that are given. */
  const restart = Effect.fnUntraced(
    function*(log: Record<string, string>, files: Record<string, string | Buffer> = {}) {
      const root = yield* makeDirectory
      for (const [path, content] of Object.entries(files)) {
        Fs.mkdirSync(Path.join(root, Path.dirname(path)), { recursive: true })
        Fs.writeFileSync(Path.join(root, path), content)
      }
      Fs.mkdirSync(Path.join(root, ".purchases"))
      for (const [name, content] of Object.entries(log)) {
        const old = content.replace(/"boot":"[^"]*"/, "\"boot\":\"before\"")
        Fs.writeFileSync(Path.join(root, ".purchases", name.replace(/_\d+-\d*_/, "_4194305-1_")), old)
      }
      return root
    }
  )

  const entries = ["zero", "one", "two"].map((text, i) => named(text, i))

  it.effect.each<readonly [string, (content: string) => string | Buffer | undefined]>([
    ["are missing", () => undefined],
    ["are empty", () => ""],
    ["hold NUL characters", (content) => Buffer.alloc(content.length)],
    ["are cut off", (content) => content.slice(0, content.length / 2)],
    ["are whole", (content) => content]
  ])("samples are at their positions, also if their files %s", ([, hurt]) =>
    Effect.gen(function*() {
      const first = yield* makeDirectory
      const key = yield* keyOf({ parameters: { top_p: 0.5 } }, "prompt", ["trial"])
      const { log } = yield* record(first, (store) =>
        Effect.gen(function*() {
          // Another writer was first at position 0.
          yield* store.put(key, [named("first", 0, "other")], "append")
          assert.deepStrictEqual(yield* store.put(key, [entries[0]!, entries[1]!], "append"), [1, 2])
          yield* store.put(key, [entries[2]!], "append")
        }))
      const files = Object.entries(readTree(first)).flatMap(([path, content]) => {
        const hurted = path.startsWith(".purchases") ? undefined : hurt(content)
        return hurted === undefined ? [] : [[path, hurted] as const]
      })
      const root = yield* restart(log, Object.fromEntries(files))
      const store = yield* directoryStore(root)
      const { damaged, keys, samples } = yield* Transfer.verify(store)
      assert.deepStrictEqual([damaged.length, keys, samples], [0, 1, 4])
      assert.deepStrictEqual(
        yield* store.getMany(key, 0, 9),
        [named("first", 0, "other"), ...entries].map((entry) => entry.drawn)
      )
      yield* settled(root)
      assert.strictEqual(Object.keys(samplesIn(root)).length, 4)
    }))

  it.effect("a sample that was removed, or drawn again, does not come back", () =>
    Effect.gen(function*() {
      const key = yield* keyOf({})
      const { log } = yield* record(yield* makeDirectory, (store) =>
        Effect.gen(function*() {
          yield* store.put(key, [entries[0]!, entries[1]!, entries[2]!], "append")
          yield* store.remove(key, [1, 2])
          yield* store.put(key, [named("again", 2, "s")], "append")
        }))
      const root = yield* restart(log)
      const store = yield* directoryStore(root)
      yield* store.prepare(key)
      assert.deepStrictEqual(samplesIn(store.describe(key)), { 0: "zero", 2: "again" })
    }))

  it.effect("a line of the log that was torn is no request, and those before it are", () =>
    Effect.gen(function*() {
      const key = yield* keyOf({})
      const { log } = yield* record(yield* makeDirectory, (store) => store.put(key, [entries[0]!], "append"))
      const torn = Object.fromEntries(
        Object.entries(log).map((
          [name, content]
        ) => [name, `${content}\n{"request":1,"folder":"m_1/x","entries":[{"posi\0\0`])
      )
      const root = yield* restart(torn)
      const store = yield* directoryStore(root)
      yield* store.prepare(key)
      assert.deepStrictEqual(samplesIn(root), { 0: "zero" })
    }))

  it.effect.runIf(process.platform === "linux")(
    "and not after a kill: a sample that was deleted since is drawn again",
    () =>
      Effect.gen(function*() {
        const key = yield* keyOf({})
        const first = yield* makeDirectory
        const { log } = yield* record(first, (store) => store.put(key, [entries[0]!, entries[1]!], "append"))
        const root = yield* makeDirectory
        Fs.mkdirSync(Path.join(root, ".purchases"))
        for (const [name, content] of Object.entries(log)) {
          Fs.writeFileSync(Path.join(root, ".purchases", name.replace(/_\d+-\d*_/, "_4194305-1_")), content)
        }
        const store = yield* directoryStore(root)
        yield* store.prepare(key)
        assert.deepStrictEqual(samplesIn(root), {})
        yield* settled(root)
      })
  )
})

it.effect.each(["process", "power"] as const)(
  "Persistent.layer in a directory takes the durability %s",
  (durability) =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      let forced = 0
      yield* LlmModel.sampleMany("p", 2).pipe(
        Effect.provide(Persistent.layer({ directory, durability })),
        Effect.provide(provider.layer),
        patched(["fdatasync", "fsync", "fdatasyncSync", "fsyncSync"], (_, original) => (...args) => {
          forced++
          return original(...args)
        })
      )
      assert.strictEqual(forced > 0, durability === "power")
    }).pipe(Effect.scoped)
)
