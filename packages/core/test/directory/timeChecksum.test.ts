import { assert, describe, it } from "@effect/vitest"
import { Events, Fork, Independent, LlmModel, Persistent, SampleStore } from "@llm-cache/core"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { drawn, keyOf, originalFolder, record, sampleOne } from "../support/caches.ts"
import { makeDirectory } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider, using } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

describe("the checksum in the time of a sample's file", () => {
  /** Draws the first sample of a prompt. Returns its text and the files that this opened. */
  const opened = Effect.fnUntraced(function*(root: string, prompt: string, model: LlmModel.Model) {
    const files: Array<string> = []
    const text = yield* sampleOne(root, prompt, model).pipe(
      patched(["openSync"], (_, original) => (...args) => {
        files.push(Path.basename(String(args[0])))
        return original(...args)
      })
    )
    return [text, ...files]
  })

  it.effect("leaves the seconds of the time as they were, and spares a hit the metadata log", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      for (let i = 0; i < 100; i++) {
        // The clock of files may be some milliseconds late.
        const before = Math.floor(Date.now() / 1000) - 1
        const text = yield* sampleOne(root, `${i}`, provider.model)
        assert.deepStrictEqual(yield* opened(root, `${i}`, provider.model), [text, "0.md"])
        const { mtimeMs } = Fs.statSync(Path.join(originalFolder(root, "mock", "1", `${i}`), "0.md"))
        assert.isTrue(before <= mtimeMs / 1000 && mtimeMs < Date.now() + 1000)
      }
      assert.strictEqual(provider.requests.length, 100)
    }))

  it.effect("is the same in every version, so that hits of a cache stay fast", () =>
    Effect.gen(function*() {
      const store = yield* directoryStore(yield* makeDirectory)
      const key = yield* keyOf({})
      for (const [position, text, microseconds] of [[0, "x", 299_553], [1, "", 578_913]] as const) {
        yield* store.put(key, [{ position, drawn: drawn(text) }], "drop")
        const { mtimeNs } = Fs.statSync(Path.join(store.describe(key), `${position}.md`), { bigint: true })
        assert.strictEqual(Number(mtimeNs / 1000n % 1_000_000n), microseconds)
      }
    }))

  it.effect("fits samples of requests of several, of forks, and after the root was moved", () =>
    Effect.gen(function*() {
      const root = Path.join(yield* makeDirectory, "root")
      const provider = yield* makeProvider()
      yield* record(root, "p", 3, provider.model)
      const forked = Fork.fork("trial")(sampleOne(root, "p", provider.model))
      assert.strictEqual(yield* forked, "p #3")
      Fs.renameSync(root, `${root} of another name`)
      assert.deepStrictEqual(yield* opened(`${root} of another name`, "p", provider.model), ["p #0", "0.md"])
      const fork = Fork.fork("trial")(opened(`${root} of another name`, "p", provider.model))
      assert.deepStrictEqual(yield* fork, ["p #3", "0.md"])
    }))

  it.effect("may be lost with the time, or missing on a file system without microseconds: the metadata log has another", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const withoutTimes = patched(["futimesSync"], () => () => {
        throw Object.assign(new Error("EPERM: operation not permitted"), { code: "EPERM" })
      })
      const texts = {
        p: yield* withoutTimes(sampleOne(root, "p", provider.model)),
        q: yield* sampleOne(root, "q", provider.model)
      }
      Fs.utimesSync(Path.join(originalFolder(root, "mock", "1", "q"), "0.md"), 1, 1)
      for (const [prompt, text] of Object.entries(texts)) {
        assert.deepStrictEqual(yield* opened(root, prompt, provider.model), [text, "0.md", "0-255.jsonl"])
      }
    }))

  it.effect("does not bypass a store that wraps the directory", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 1, provider.model)
      const store = yield* directoryStore(root)
      const wrapped: SampleStore.Store = {
        ...store,
        get: (key, position) => Effect.map(store.get(key, position), (found) => found && drawn(`<${found.text}>`))
      }
      const model = yield* Persistent.make(provider.model, wrapped)
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(model)), "<p #0>")
    }))

  it.effect("does not hide hits from listeners", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 2, provider.model)
      const events: Array<Events.Event> = []
      yield* Effect.gen(function*() {
        yield* Events.listen((event) => events.push(event))
        yield* sampleOne(root, "p", provider.model)
        yield* record(root, "p", 2, provider.model)
      }).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.deepStrictEqual(events.map(({ _tag, position }) => `${_tag} ${position}`), ["Hit 0", "Hit 0", "Hit 1"])
    }))

  it.effect("does not hide faults of the file system", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 1, provider.model)
      for (const name of ["openSync", "readSync", "fstatSync"] as const) {
        const faulty = patched([name], (_, original) => (...args) => {
          if (name === "openSync" && !String(args[0]).endsWith(".md")) return original(...args)
          throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
        })
        const read = faulty(Effect.result(sampleOne(root, "p", provider.model)))
        // The metadata log does without the time.
        if (name === "fstatSync") assert.strictEqual(yield* Effect.fromResult(yield* read), "p #0")
        else assert.strictEqual((yield* Effect.flip(Effect.fromResult(yield* read)))._tag, "StoreError")
      }
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("does not keep a shared reader beneath from learning which samples are recorded", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const make = Effect.gen(function*() {
        const big = yield* Persistent.make(provider.model, yield* directoryStore(Path.join(root, "big")))
        const reader = yield* Independent.make(big)
        return { reader, recording: yield* Persistent.make(reader, yield* directoryStore(Path.join(root, "slice"))) }
      })
      const [one, two] = [yield* make, yield* make]
      for (const { reader } of [one, two]) {
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(reader)), "p #0")
      }
      for (const { recording } of [one, two]) {
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(recording)), "p #1")
      }
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(two.reader)), "p #2")
    }))
})
