import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Key, LlmModel, Persistent } from "@llm-cache/core"
import { Effect, Result, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import { drawn, originalFolder, record } from "../support/caches.ts"
import { makeDirectory, samplesIn, settled } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider, using } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

describe("a request whose samples a process did not finish writing", () => {
  const namespace = Fs.existsSync("/proc/self/ns/pid") ? Fs.readlinkSync("/proc/self/ns/pid") : ""
  const host = encodeURIComponent(`${Os.hostname()} ${namespace}`).replaceAll("_", "%5F")
  const entries = [0, 1, 2].map((position) => ({ position, drawn: drawn(`text ${position}`) }))
  const namedEntries = entries.map(({ drawn, position }) => {
    const named = { ...drawn, metadata: { request: "r", index: position } }
    return { position, drawn: named, id: `write ${position}` }
  })

  /** Leaves the files of a killed process: its write-ahead log, and the samples at `positions`. */
  const leave = Effect.fnUntraced(function*(options: {
    readonly positions: ReadonlyArray<number>
    readonly owner?: string
    readonly content?: string
    readonly folder?: string
    /** As this version writes it: each sample has an id of its own. */
    readonly isNamed?: boolean
  }) {
    const root = Path.join(yield* makeDirectory, "root")
    const provider = yield* makeProvider()
    const key = new Key.Key(provider.model.identity, "p", [])
    const store = yield* directoryStore(root)
    // Without what it says of a root that is not there yet.
    const folder = Path.relative(root, store.describe(key).replace(/ \(there is no .*/, ""))
    // As the log writes them, cut off.
    if (options.positions.length > 0) {
      yield* store.prepare(key)
      for (const position of options.positions) {
        Fs.writeFileSync(Path.join(root, folder, `${position}.md`), `text ${position}`)
        const { drawn: { metadata }, id } = namedEntries[position]!
        const name = options.isNamed ? { id, ...metadata } : { id: `request ${position}` }
        const line = { position, bytes: 6, crc32: crc32(`text ${position}`), ...name }
        Fs.appendFileSync(Path.join(root, folder, "0-255.jsonl"), `\n${JSON.stringify(line)}`)
      }
    }
    Fs.mkdirSync(Path.join(root, ".purchases"), { recursive: true })
    const log = Path.join(root, ".purchases", `${options.owner ?? `${host}_4194305-_gone`}_0.json`)
    const to = { folder: options.folder ?? folder, ifTaken: "append" }
    const request = options.isNamed ? { ...to, entries: namedEntries } : { ...to, id: "request", entries }
    Fs.writeFileSync(log, options.content ?? JSON.stringify(request))
    return { root, provider, log, folder: Path.join(root, folder) }
  })

  it.effect("is left as it is by a store that only reads", () =>
    Effect.gen(function*() {
      const { root } = yield* leave({ positions: [0], isNamed: true })
      const contents = () =>
        Fs.readdirSync(root, { recursive: true, encoding: "utf8" }).sort().map((name) => {
          const file = Path.join(root, name)
          return Fs.statSync(file).isDirectory() ? name : `${name} ${Fs.readFileSync(file, "utf8")}`
        })
      const before = contents()
      const store = yield* DirectoryStore.make(root, { isReadOnly: true })
      const [listed] = yield* Stream.runCollect(store.keys())
      const key = Result.getOrThrow(listed!).key
      assert.strictEqual((yield* Stream.runCollect(store.identities)).length, 1)
      assert.deepStrictEqual((yield* store.getMany(key, 0, 5)).map(({ text }) => text), ["text 0"])
      for (
        const write of [
          store.prepare(key),
          store.put(key, [{ position: 5, drawn: drawn("text 5") }], "drop"),
          store.remove(key, [0])
        ]
      ) {
        const { kind, message } = yield* Effect.flip(Effect.asVoid(write))
        assert.strictEqual(kind, "Unavailable")
        assert.match(message, /opened for reading/)
      }
      assert.deepStrictEqual(contents(), before)
    }))

  it.effect.each(
    [false, true].flatMap((isNamed) =>
      [[], [0], [0, 1], [1, 2], [0, 1, 2]].map((positions) => [positions, isNamed] as const)
    )
  )(
    "with %j written is finished by the next process that writes, without a request (names: %j)",
    ([positions, isNamed]) =>
      Effect.gen(function*() {
        const { folder, log, provider, root } = yield* leave({ positions, isNamed })
        assert.deepStrictEqual(yield* record(root, "p", 4, provider.model), ["text 0", "text 1", "text 2", "p #0"])
        assert.strictEqual(provider.given.length, 1)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2", 3: "p #0" })
        assert.isFalse(Fs.existsSync(log))
        yield* settled(root)
        assert.deepStrictEqual(Fs.readdirSync(Path.join(root, ".purchases")), [])
      })
  )

  it.effect("gets other positions if others took its own since", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [0] })
      Fs.writeFileSync(Path.join(folder, "1.md"), "of another process")
      yield* record(root, "q", 1, provider.model)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "of another process", 2: "text 1", 3: "text 2" })
    }))

  it.effect("is left to a running process, for a minute", () =>
    Effect.gen(function*() {
      for (const owner of [`${host}_${process.pid}-_other`, "elsewhere_4194305-_other"]) {
        const { folder, log, provider, root } = yield* leave({ positions: [0], owner })
        const now = Fs.statSync(log).mtimeMs
        yield* TestClock.setTime(now + 59_000)
        yield* record(root, "q", 1, provider.model)
        assert.isTrue(Fs.existsSync(log))
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0" })
        yield* TestClock.setTime(now + 61_000)
        yield* record(root, "r", 1, provider.model)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      }
    }))

  it.effect("has a full minute after a take-over too, and is left to its new process", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [0], owner: "elsewhere_4194305-_other" })
      const now = Fs.statSync(log).mtimeMs + 100_000
      yield* TestClock.setTime(now)
      const [one, two] = [yield* directoryStore(root), yield* directoryStore(root)]
      const key = new Key.Key(provider.model.identity, "p", [])
      // While one store writes it, the other looks, again and again.
      let looks = 0
      const looking = patched(["linkSync"], (_, original) => (...args) => {
        if (String(args[1]).endsWith(".md") && looks++ < 3) Effect.runSync(Effect.orDie(two.prepare(key)))
        return original(...args)
      })
      yield* looking(one.prepare(key))
      assert.strictEqual(looks, 2)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
    }))

  it.effect("is left to another process that took it over meanwhile", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const store = yield* directoryStore(root)
      const key = new Key.Key(provider.model.identity, "p", [])
      yield* store.prepare(key)
      const taking = patched(["linkSync"], (_, original) => (...args) => {
        if (String(args[1]).endsWith("1.md")) {
          // The process was stopped here, for long.
          const folder = Path.join(root, ".purchases")
          for (const name of Fs.readdirSync(folder)) {
            Fs.renameSync(Path.join(folder, name), Path.join(root, "taken"))
          }
        }
        return original(...args)
      })
      const stored = [entries[0]!, entries[1]!, entries[2]!] as const
      assert.deepStrictEqual(yield* taking(store.put(key, stored, "append")), [0, 1, undefined])
      assert.deepStrictEqual(samplesIn(store.describe(key)), { 0: "text 0", 1: "text 1" })
    }))

  it.effect("is finished by a store that was open when the process was killed", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [0] })
      Fs.renameSync(log, `${root}.json`)
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        yield* LlmModel.sampleOne("q").pipe(using(model))
        Fs.renameSync(`${root}.json`, log)
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), ["text 0", "text 1", "text 2"])
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
        assert.deepStrictEqual(provider.requests, [1])
      }))
    }))

  it.effect("stops draws of its own prompt, and of no other, if it cannot be written", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [] })
      Fs.mkdirSync(Path.dirname(folder), { recursive: true })
      Fs.writeFileSync(folder, "in the way")
      assert.deepStrictEqual(yield* record(root, "q", 1, provider.model), ["q #0"])
      assert.strictEqual((yield* Effect.flip(record(root, "p", 1, provider.model)))._tag, "StoreError")
      Fs.rmSync(folder)
      // The log now belongs to a store of this process, which is closed.
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual(yield* record(root, "p", 3, provider.model), ["text 0", "text 1", "text 2"])
      assert.deepStrictEqual(provider.requests, [1])
    }))

  it.effect("keeps a sample if another process has an equal text at its position", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [0] })
      Fs.writeFileSync(Path.join(folder, "1.md"), "text 1")
      yield* record(root, "q", 1, provider.model)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 1", 3: "text 2" })
    }))

  it.effect("keeps a sample that was announced for a position at which another process then put an equal text", () =>
    Effect.gen(function*() {
      for (const isFirst of [true, false]) {
        const { folder, provider, root } = yield* leave({ positions: [0] })
        const key = new Key.Key(provider.model.identity, "p", [])
        const other = yield* directoryStore(root)
        const announced = { position: 1, bytes: 6, crc32: crc32("text 1"), id: "request 1", inode: 1, request: "gone" }
        const announce = () => Fs.appendFileSync(Path.join(folder, "0-255.jsonl"), `\n${JSON.stringify(announced)}`)
        const theirs = {
          position: 1,
          drawn: { text: "text 1", metadata: { request: "theirs", index: 0 }, origins: [] }
        }
        if (isFirst) announce()
        const puts = patched(["linkSync"], (_, original) => (...args) => {
          if (!isFirst && String(args[1]).endsWith("1.md")) announce()
          return original(...args)
        })
        yield* puts(other.put(key, [theirs], "drop"))
        yield* record(root, "q", 1, provider.model)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 1", 3: "text 2" })
        for (const store of [other, yield* directoryStore(root)]) {
          assert.deepStrictEqual(yield* store.get(key, 1), theirs.drawn)
        }
      }
    }))

  it.effect("is finished by a store that saw the process running before it died", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [0], owner: `${host}_${process.pid}-_other` })
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        yield* LlmModel.sampleOne("q").pipe(using(model))
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0" })
        Fs.renameSync(log, log.replace(`_${process.pid}-`, "_4194305-"))
        yield* LlmModel.sampleOne("r").pipe(using(model))
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      }))
    }))

  it.effect.runIf(process.platform === "linux")(
    "is finished also if another process has the number of the killed one",
    () =>
      Effect.gen(function*() {
        const { folder, provider, root } = yield* leave({ positions: [0], owner: `${host}_${process.pid}-1_gone` })
        yield* record(root, "q", 1, provider.model)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      })
  )

  it.effect.each<readonly [string, { readonly content?: string; readonly folder?: string }]>([
    ["is cut off", { content: "{\"id\":\"request\",\"ent" }],
    ["is empty", { content: "" }],
    ["is of something else", { content: "[1]" }],
    ["leads out of the root", { folder: "../escape" }],
    ["leads to an absolute folder", { folder: "/escape" }]
  ])("is put aside if its log %s, and recording goes on", ([, options]) =>
    Effect.gen(function*() {
      const { provider, root } = yield* leave({ positions: [], ...options })
      assert.deepStrictEqual(yield* record(root, "p", 2, provider.model), ["p #0", "p #1"])
      assert.deepStrictEqual(Fs.readdirSync(Path.dirname(root)), ["root"])
      assert.isFalse(Fs.existsSync("/escape"))
      yield* settled(root)
      assert.match(Fs.readdirSync(Path.join(root, ".purchases")).join(), /^\S+\.damaged$/)
    }))

  it.effect("is finished by the next draw after the file system failed halfway", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const folder = originalFolder(root, "mock", "1", "p")
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        yield* LlmModel.sampleMany("p", 254).pipe(using(model))
        // The metadata log of position 256 and behind.
        Fs.mkdirSync(Path.join(folder, "256-511.jsonl"))
        const error = yield* Effect.flip(LlmModel.sampleMany("p", 260).pipe(using(model)))
        assert.strictEqual(error._tag, "StoreError")
        assert.strictEqual((yield* LlmModel.sampleMany("p", 256).pipe(using(model))).at(-1), "p #255")
        assert.deepStrictEqual(provider.requests, [254, 6])
        Fs.rmdirSync(Path.join(folder, "256-511.jsonl"))
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 260).pipe(using(model)), provider.given)
        assert.deepStrictEqual(provider.requests, [254, 6])
        assert.deepStrictEqual(Object.values(samplesIn(folder)), provider.given)
      }))
    }))

  it.effect("is finished by one store that saw it under way, though no file of the log changes", () =>
    Effect.gen(function*() {
      for (const owner of [`${host}_${process.pid}-_other`, "elsewhere_4194305-_other"]) {
        const { folder, log, provider, root } = yield* leave({ positions: [0], owner })
        const store = yield* directoryStore(root)
        const key = new Key.Key(provider.model.identity, "q", [])
        const begun = Fs.statSync(log).mtimeMs
        yield* TestClock.setTime(begun + 59_000)
        yield* store.prepare(key)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0" })
        yield* TestClock.setTime(begun + 61_000)
        yield* store.prepare(key)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      }
    }))

  /** Gives the folder of the log the time that it had, as if it had changed within one tick of the clock of files. */
  const withinOneTick = (root: string) => {
    const folder = Path.join(root, ".purchases")
    const { atimeMs, mtimeMs } = Fs.statSync(folder)
    return () => Fs.utimesSync(folder, atimeMs / 1000, Math.floor(mtimeMs) / 1000)
  }

  it.effect("is finished by a store that could not write it before, though the log's folder has the same time", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [] })
      const restore = withinOneTick(root)
      restore()
      Fs.mkdirSync(Path.dirname(folder), { recursive: true })
      Fs.writeFileSync(folder, "in the way")
      const store = yield* directoryStore(root)
      yield* TestClock.setTime(Date.now() + 10_000)
      for (const prompt of ["q", "r"]) {
        yield* store.prepare(new Key.Key(provider.model.identity, prompt, []))
        restore()
      }
      Fs.rmSync(folder)
      yield* store.prepare(new Key.Key(provider.model.identity, "q", []))
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
    }))

  it.effect("is finished also if it began in the tick in which a store found the log empty", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [] })
      Fs.renameSync(log, `${root}.json`)
      const restore = withinOneTick(root)
      restore()
      const store = yield* directoryStore(root)
      const key = new Key.Key(provider.model.identity, "q", [])
      yield* TestClock.setTime(Date.now())
      yield* store.prepare(key)
      Fs.renameSync(`${root}.json`, log)
      restore()
      yield* store.prepare(key)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
    }))

  it.effect("is not looked for while the log does not change", () =>
    Effect.gen(function*() {
      const { log, provider, root } = yield* leave({ positions: [] })
      Fs.rmSync(log)
      const store = yield* directoryStore(root)
      const key = new Key.Key(provider.model.identity, "q", [])
      yield* TestClock.setTime(Date.now() + 10_000)
      let lists = 0
      const counting = patched(["readdirSync"], (_, original) => (...args) => {
        if (String(args[0]).endsWith(".purchases")) lists++
        return original(...args)
      })
      yield* counting(Effect.andThen(store.prepare(key), store.prepare(key)))
      assert.strictEqual(lists, 1)
    }))
})
