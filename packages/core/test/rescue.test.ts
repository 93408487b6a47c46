import { assert, describe, it } from "@effect/vitest"
import {
  DirectoryStore,
  Fork,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  RescueFile,
  type Sample,
  SampleError,
  SampleStore,
  Transfer
} from "@llm-cache/core"
import { Deferred, Effect, Fiber, Logger, Result, Stream } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { drawn } from "./support/caches.ts"
import { makeDirectory } from "./support/directory.ts"
import { patched } from "./support/patched.ts"
import { makeProvider, using } from "./support/provider.ts"

const down = new SampleError.StoreError({
  kind: "Unavailable",
  store: "test",
  operation: "put",
  description: "the disk is full"
})

/** A store that refuses samples while it is broken. */
const makeFlaky = Effect.map(MemoryStore.make, (memory) => {
  const state = { isBroken: true }
  const store = SampleStore.make({
    ...memory,
    put: (...args) => state.isBroken ? Effect.fail(down) : memory.put(...args)
  })
  return { memory, state, store }
})

const filesIn = (directory: string) => Fs.existsSync(directory) ? Fs.readdirSync(directory) : []

const onlyFile = (directory: string) => {
  const names = filesIn(directory)
  assert.lengthOf(names, 1)
  return Path.join(directory, names[0]!)
}

/** Runs an effect, and returns its log beside its result. */
const logged = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const messages: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void messages.push(`${logLevel} ${String(message)}`))
    return Effect.map(
      Effect.provide(self, Logger.layer([logger])),
      (value) => ({ value, log: messages.join("\n") })
    )
  })

/** A run of a program: a cache of its own over the store, which is closed at the end. */
const run = <A, E>(
  model: LlmModel.Model,
  store: SampleStore.Store,
  rescueDirectory: string | undefined,
  program: Effect.Effect<A, E, LlmModel.LlmModel>,
  options: Persistent.StoreOptions = {}
) =>
  logged(Effect.scoped(Effect.gen(function*() {
    const cache = yield* Persistent.make(model, store, { rescueDirectory, ...options })
    return yield* Effect.exit(program.pipe(using(cache)))
  }))).pipe(Effect.map(({ log, value }) => ({ log, exit: value })))

const succeeded = <A>(ran: { readonly exit: import("effect").Exit.Exit<A, unknown> }): A => {
  assert(ran.exit._tag === "Success")
  return ran.exit.value
}

const listed = (store: SampleStore.Store) =>
  Effect.gen(function*() {
    const samples: Array<readonly [fork: string, position: number, text: string]> = []
    for (const { key } of yield* Stream.runCollect(Stream.filterMap(store.keys(), (element) => element))) {
      for (const position of yield* store.positions(key)) {
        samples.push([key.path.join(), position, (yield* store.get(key, position))!.text])
      }
    }
    return samples.sort((a, b) => a[0] === b[0] ? a[1] - b[1] : a[0] < b[0] ? -1 : 1)
  })

describe("Samples that a store refuses until the end", () => {
  it.effect("are in a file for their owner alone, and the next run stores and replays them without a request", () =>
    Effect.gen(function*() {
      const directory = Path.join(yield* makeDirectory, "rescue")
      const { memory, state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const program = Effect.all([
        Effect.exit(LlmModel.sampleMany("p", 3)),
        Effect.exit(Fork.fork("x")(Fork.fork("y")(LlmModel.sampleMany("p", 2))))
      ], { concurrency: 2 })
      const first = yield* run(provider.model, store, directory, program)
      const file = onlyFile(directory)
      assert.include(first.log, "Error 5 requested samples could not be stored in memory")
      assert.include(first.log, file)
      assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(Fs.statSync(directory).mode & 0o777, 0o700)
      assert.deepStrictEqual(yield* listed(memory), [])

      state.isBroken = false
      const both = Effect.all([
        LlmModel.sampleMany("p", 3),
        Fork.fork("x")(Fork.fork("y")(LlmModel.sampleMany("p", 2)))
      ])
      const second = yield* run(provider.model, store, directory, both)
      assert.include(second.log, "Info Stored 5 samples of an earlier run")
      assert.deepStrictEqual(succeeded(second).flat(), provider.given)
      assert.lengthOf(provider.requests, 2)
      assert.deepStrictEqual(filesIn(directory), [])
      assert.lengthOf(yield* listed(memory), 5)
      const third = yield* run(provider.model, store, directory, both)
      assert.deepStrictEqual(succeeded(third).flat(), provider.given)
      assert.strictEqual(third.log, "")
    }).pipe(Effect.scoped))

  it.effect("are in the file without those at which the store's search for secrets dies", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const isSecret = (_: Key.Key, { text }: { readonly text: string }) => {
        if (text === provider.given[1]) throw new Error("a bug")
        return false
      }
      const withSecrets = SampleStore.make({ ...store, isSecret })
      const { log } = yield* run(provider.model, withSecrets, directory, Effect.exit(LlmModel.sampleMany("p", 3)))
      const content = Fs.readFileSync(onlyFile(directory), "utf8")
      assert.deepStrictEqual(provider.given.map((text) => content.includes(JSON.stringify(text))), [true, false, true])
      assert.include(log, "Error 1 requested samples could not be stored in memory")
    }).pipe(Effect.scoped))

  it.effect("are not in the file if the store says that they have secrets, and the log counts them", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { store } = yield* makeFlaky
      const withSecrets = (isSecret: (text: string) => boolean) =>
        SampleStore.make({ ...store, isSecret: (_, { text }) => isSecret(text) })
      const provider = yield* makeProvider()
      const program = Effect.exit(LlmModel.sampleMany("p", 3))
      const some = yield* run(
        provider.model,
        withSecrets((text) => text === provider.given[1]),
        directory,
        program
      )
      const content = Fs.readFileSync(onlyFile(directory), "utf8")
      assert.deepStrictEqual(provider.given.map((text) => content.includes(JSON.stringify(text))), [true, false, true])
      assert.include(some.log, "Error 1 requested samples could not be stored in memory")
      assert.include(some.log, "they have secrets")
      assert.include(some.log, "Error 2 requested samples could not be stored in memory")

      const all = yield* run(provider.model, withSecrets(() => true), directory, program)
      assert.deepStrictEqual(filesIn(directory), [])
      assert.notInclude(all.log, "They are in the rescue file")
    }).pipe(Effect.scoped))

  it.effect("keep their metadata and origins, and an Independent beneath goes on behind them", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { memory, state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const big = yield* MemoryStore.make
      const draw = LlmModel.sampleMany("p", 2)
      const slice = Effect.fnUntraced(function*<E>(program: Effect.Effect<unknown, E, LlmModel.LlmModel>) {
        return yield* Effect.scoped(Effect.gen(function*() {
          const shared = yield* Independent.make(yield* Persistent.make(provider.model, big))
          const cache = yield* Persistent.make(shared, store, { rescueDirectory: directory })
          return yield* Effect.exit(program.pipe(using(cache)))
        }))
      })
      yield* slice(draw)
      assert.deepStrictEqual(yield* listed(memory), [])
      const metadata = (yield* big.get(new Key.Key(provider.model.identity, "p", []), 1))!.metadata
      // The store fails at first in the next run too: the reader has to know of its samples all the same.
      yield* slice(Effect.gen(function*() {
        state.isBroken = false
        const texts = yield* LlmModel.sampleMany("p", 4)
        assert.deepStrictEqual(texts, ["p #0", "p #1", "p #2", "p #3"])
      }))
      assert.deepStrictEqual((yield* listed(memory)).map(([, position, text]) => [position, text]), [
        [0, "p #0"],
        [1, "p #1"],
        [2, "p #2"],
        [3, "p #3"]
      ])
      const sample: Sample.Drawn | undefined = yield* memory.get(new Key.Key(provider.model.identity, "p", []), 1)
      assert.deepStrictEqual(sample, { text: "p #1", metadata, origins: [1] })
      assert.lengthOf(provider.given, 4)
      assert.deepStrictEqual(filesIn(directory), [])
    }).pipe(Effect.scoped))

  it.effect("are told to a draw of the Independent beneath that bypasses the store", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const big = yield* MemoryStore.make
      const slice = <A, E>(use: (shared: LlmModel.Model, cache: LlmModel.Model) => Effect.Effect<A, E>) =>
        Effect.scoped(Effect.gen(function*() {
          const shared = yield* Independent.make(yield* Persistent.make(provider.model, big))
          const cache = yield* Persistent.make(shared, store, { rescueDirectory: directory })
          return yield* use(shared, cache)
        }))
      yield* slice((_, cache) => Effect.exit(LlmModel.sampleOne("p").pipe(using(cache))))
      assert.strictEqual(yield* slice((shared) => LlmModel.sampleOne("p").pipe(using(shared))), "p #1")
    }).pipe(Effect.scoped))

  it.effect("are kept in one file while the store goes on refusing, and no prompt of theirs is requested", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      const first = onlyFile(directory)
      for (let i = 0; i < 2; i++) {
        const again = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 5))
        assert.strictEqual(again.exit._tag, "Failure")
        assert.include(again.log, "Warn memory")
        assert.include(again.log, "still does not take 2 samples")
      }
      assert.notStrictEqual(onlyFile(directory), first)
      assert.lengthOf(provider.requests, 1)
      // The store is mended while the program runs.
      yield* run(
        provider.model,
        store,
        directory,
        Effect.gen(function*() {
          state.isBroken = false
          assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 2), provider.given)
        })
      )
      assert.deepStrictEqual(filesIn(directory), [])
      assert.lengthOf(provider.requests, 1)
    }).pipe(Effect.scoped))

  it.effect("go behind the samples that another process stored at their positions", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { memory, state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      yield* memory.put(new Key.Key(provider.model.identity, "p", []), [{ position: 0, drawn: drawn("other") }], "drop")
      state.isBroken = false
      const next = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 3))
      assert.sameMembers(succeeded(next), ["other", ...provider.given])
      assert.strictEqual(succeeded(next)[0], "other")
      assert.lengthOf(provider.requests, 1)
    }).pipe(Effect.scoped))

  it.effect("are stored once by two processes that start at once", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const own = yield* DirectoryStore.make(root)
      const broken = SampleStore.make({ ...own, put: () => Effect.fail(down) })
      yield* run(provider.model, broken, directory, LlmModel.sampleMany("p", 20))
      onlyFile(directory)
      // Each process has a store of its own over one root, and reads the file before the other removes it.
      const process = Effect.flatMap(DirectoryStore.make(root), (store) =>
        run(
          provider.model,
          SampleStore.make({ ...store, prepare: (key) => Effect.andThen(Effect.yieldNow, store.prepare(key)) }),
          directory,
          LlmModel.sampleMany("p", 20)
        ))
      const both = yield* Effect.all([process, process], { concurrency: 2 })
      for (const ran of both) {
        assert.include(ran.log, "Stored 20 samples")
        assert.deepStrictEqual(succeeded(ran), provider.given)
      }
      assert.lengthOf(provider.requests, 1)
      assert.lengthOf(yield* listed(own), 20)
      assert.deepStrictEqual(filesIn(directory), [])
    }).pipe(Effect.scoped))

  it.effect("stay in their file if a run is interrupted while the store takes them", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { memory, state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      const file = onlyFile(directory)
      const asked = yield* Deferred.make<void>()
      const hanging = SampleStore.make({
        ...memory,
        put: () => Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)
      })
      const starting = yield* Effect.forkChild(
        Effect.scoped(Persistent.make(provider.model, hanging, { rescueDirectory: directory }))
      )
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(starting)
      assert.strictEqual(onlyFile(directory), file)
      state.isBroken = false
      const again = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      assert.deepStrictEqual(succeeded(again), provider.given)
      assert.lengthOf(provider.requests, 1)
    }).pipe(Effect.scoped))

  it.effect("are in the next file once, also if two processes left them", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { store } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      const copy = onlyFile(directory).replace(/.{8}\.jsonl$/, "copy.jsonl")
      Fs.copyFileSync(onlyFile(directory), copy)
      const again = yield* run(provider.model, store, directory, Effect.void)
      assert.include(again.log, "2 requested samples could not be stored")
      assert.deepStrictEqual(
        (yield* listed(yield* RescueFile.open(onlyFile(directory)))).map(([, , text]) => text),
        provider.given
      )
    }).pipe(Effect.scoped))

  it.effect.each(["ENOSPC", "EMFILE"])(
    "are rescued from a directory that ends in %s",
    (code) =>
      Effect.gen(function*() {
        const rescueDirectory = yield* makeDirectory
        const above = yield* makeDirectory
        Fs.mkdirSync(Path.join(above, "disk"))
        Fs.symlinkSync(Path.join(above, "disk"), Path.join(above, "link"))
        const layer = Persistent.layer({ directory: Path.join(above, "link", "root"), rescueDirectory })
        const provider = yield* makeProvider()
        const draw = Effect.all([LlmModel.sampleMany("p", 2), LlmModel.sampleOne("q")], { concurrency: 2 }).pipe(
          Effect.provide(layer),
          using(provider.model)
        )
        let isFull = false
        provider.gate = Effect.sync(() => {
          isFull = true
        })
        const full = patched(["appendFileSync"], (_, original) => (...args) => {
          if (isFull) throw Object.assign(new Error(code), { code })
          return original(...args)
        })
        yield* full(Effect.exit(draw))
        onlyFile(rescueDirectory)
        provider.gate = Effect.void
        assert.sameMembers((yield* draw).flat(), provider.given)
        assert.lengthOf(provider.given, 3)
        assert.deepStrictEqual(filesIn(rescueDirectory), [])
      }).pipe(Effect.scoped)
  )

  it.effect("can be merged into a store, and are not stored again by the next run", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { memory, state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 3))
      const key = new Key.Key(provider.model.identity, "p", [])
      yield* memory.put(key, [{ position: 1, drawn: drawn("other") }], "drop")
      const rescued = yield* RescueFile.open(onlyFile(directory))
      const merged = yield* Transfer.merge(rescued, memory, { ifDifferent: "append" })
      assert.deepInclude(merged, { copied: 2, appended: 1, damaged: [] })
      state.isBroken = false
      const next = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 4))
      assert.deepStrictEqual(succeeded(next), ["p #0", "other", "p #2", "p #1"])
      assert.lengthOf(yield* memory.positions(key), 4)
      assert.lengthOf(provider.requests, 1)
      assert.deepStrictEqual(filesIn(directory), [])
    }).pipe(Effect.scoped))

  it.effect("are only told of in replication, and above a model that remembers", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { memory, state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 3))
      const file = onlyFile(directory)
      state.isBroken = false
      const replicated = yield* logged(Effect.flip(
        LlmModel.sampleOne("p").pipe(
          Effect.provide(
            Persistent.layerReplication({ store, model: "mock", temperature: 1, rescueDirectory: directory })
          )
        )
      ))
      assert.strictEqual(replicated.value._tag, "ReplicationCacheMiss")
      assert.include(replicated.log, `Warn 3 samples that were requested for ${store.id} are in ${file} alone`)
      assert.include(replicated.log, "Run once without it")
      const big = yield* Persistent.make(provider.model, yield* MemoryStore.make, { rescueDirectory: directory })
      const slice = yield* run(big, store, directory, Effect.void)
      assert.include(slice.log, "this cache has the samples of the model beneath")
      assert.deepStrictEqual(yield* listed(memory), [])
      assert.strictEqual(onlyFile(directory), file)
    }).pipe(Effect.scoped))

  it.effect("are counted as lost if the rescue file cannot be written either", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const file = Path.join(directory, "file")
      Fs.writeFileSync(file, "")
      const ran = yield* run(provider.model, store, Path.join(file, "rescue"), LlmModel.sampleMany("p", 3))
      assert.include(ran.log, "Error 3 requested samples could not be stored")
      assert.include(ran.log, "3 of them are lost")
      assert.include(ran.log, Path.join(file, "rescue"))
      // The samples of an earlier file are not lost.
      yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      const again = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2)).pipe(
        patched(["openSync"], (_, original) => (...args) => {
          if (String(args[0]).endsWith(".tmp")) throw Object.assign(new Error("full"), { code: "ENOSPC" })
          return original(...args)
        })
      )
      assert.include(again.log, "2 requested samples could not be stored")
      assert.include(again.log, "0 of them are lost")
    }).pipe(Effect.scoped))

  it.effect("are written although the process has no file descriptor left", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { store } = yield* makeFlaky
      const provider = yield* makeProvider()
      // A process at its limit: it has to close a file to open another.
      let isFull = false
      let free = 0
      const counted = patched(["openSync", "closeSync"], (name, original) => (...args) => {
        if (name === "closeSync" && isFull) free++
        if (name === "openSync" && isFull && free-- === 0) {
          free = 0
          throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" })
        }
        return original(...args)
      })
      const program = Effect.andThen(
        Effect.exit(LlmModel.sampleMany("p", 3)),
        Effect.sync(() => {
          isFull = true
        })
      )
      const ran = yield* counted(run(provider.model, store, directory, program))
      assert.include(ran.log, "They are in the rescue file")
      assert.lengthOf(Fs.readFileSync(onlyFile(directory), "utf8").trim().split("\n"), 4)
    }).pipe(Effect.scoped))
})

describe("The folder of rescue files", () => {
  const environment = <A, E, R>(variables: Record<string, string>, self: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const before = { ...process.env }
        Object.assign(process.env, variables)
        return before
      }),
      () => self,
      (before) =>
        Effect.sync(() => {
          for (const name of Object.keys(variables)) {
            if (before[name] === undefined) delete process.env[name]
            else process.env[name] = before[name]
          }
        })
    )

  it.effect("is the state folder of the user, and one of temporary files if that cannot be written", () =>
    Effect.gen(function*() {
      const above = yield* makeDirectory
      const { state, store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const program = LlmModel.sampleMany("p", 2)
      const home = Path.join(above, "home")
      Fs.mkdirSync(home)
      const inHome = run(provider.model, store, undefined, program)
      yield* environment({ HOME: home, XDG_STATE_HOME: "" }, inHome)
      const expected = Path.join(home, ".local", "state", "llm-cache")
      assert.lengthOf(filesIn(expected), 1)
      yield* environment({ XDG_STATE_HOME: "relative", HOME: home }, inHome)
      assert.lengthOf(filesIn(expected), 1)
      yield* environment({ XDG_STATE_HOME: Path.join(above, "state") }, run(provider.model, store, "~/own", program))
        .pipe((self) => environment({ HOME: home }, self))
      assert.lengthOf(filesIn(Path.join(home, "own")), 1)

      const temporary = Path.join(above, "tmp")
      Fs.mkdirSync(temporary)
      const file = Path.join(above, "file")
      Fs.writeFileSync(file, "")
      const shared = Path.join(temporary, `llm-cache-${process.getuid?.()}`)
      const second = yield* makeFlaky
      const inTemporary = environment(
        { XDG_STATE_HOME: file, TMPDIR: temporary },
        run(provider.model, second.store, undefined, program)
      )
      assert.include((yield* inTemporary).log, shared)
      assert.lengthOf(filesIn(shared), 1)
      // A folder that others can write to is neither read nor written.
      Fs.chmodSync(shared, 0o777)
      const ran = yield* inTemporary
      assert.include(ran.log, "2 of them are lost")
      Fs.chmodSync(shared, 0o700)
      state.isBroken = second.state.isBroken = false
      const requests = provider.requests.length
      assert.lengthOf(succeeded(yield* inTemporary), 2)
      assert.lengthOf(provider.requests, requests)
      assert.lengthOf(filesIn(shared), 0)
    }).pipe(Effect.scoped))

  it.effect("is not made by a run whose store takes its samples", () =>
    Effect.gen(function*() {
      const directory = Path.join(yield* makeDirectory, "rescue")
      const { state, store } = yield* makeFlaky
      state.isBroken = false
      const provider = yield* makeProvider()
      const openFiles = () => process.platform === "linux" ? Fs.readdirSync("/proc/self/fd").length : 0
      const before = openFiles()
      const ran = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      assert.strictEqual(ran.log, "")
      assert.isFalse(Fs.existsSync(directory))
      assert.isAtMost(openFiles(), before)
    }).pipe(Effect.scoped))

  it.effect("is told of if it was named and cannot be read, and a file in it that is no file too", () =>
    Effect.gen(function*() {
      const above = yield* makeDirectory
      const file = Path.join(above, "file")
      Fs.writeFileSync(file, "")
      const { store } = yield* makeFlaky
      const provider = yield* makeProvider()
      const logOf = (directory: string | undefined) =>
        Effect.map(run(provider.model, store, directory, Effect.void), ({ log }) => log)
      assert.include(yield* logOf(file), `The folder of rescue files ${file} cannot be read`)
      assert.strictEqual(yield* environment({ XDG_STATE_HOME: file }, logOf(undefined)), "")
      yield* run(provider.model, store, above, LlmModel.sampleOne("p"))
      const rescue = Fs.readdirSync(above).find((name) => name.startsWith("rescue-"))!
      Fs.rmSync(Path.join(above, rescue))
      Fs.mkdirSync(Path.join(above, rescue))
      assert.include(yield* logOf(above), `The rescue file ${Path.join(above, rescue)} cannot be read`)
    }).pipe(Effect.scoped))

  it.effect.each(["", "a\0b"])("needs a name, not %j", (rescueDirectory) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const error = yield* Effect.flip(Persistent.make(provider.model, yield* MemoryStore.make, { rescueDirectory }))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, "rescueDirectory")
    }).pipe(Effect.scoped))
})

describe("A rescue file", () => {
  const left = Effect.fnUntraced(function*() {
    const directory = yield* makeDirectory
    const flaky = yield* makeFlaky
    const provider = yield* makeProvider()
    yield* run(provider.model, flaky.store, directory, LlmModel.sampleMany("p", 3))
    const file = onlyFile(directory)
    return { ...flaky, directory, file, provider, key: new Key.Key(provider.model.identity, "p", []) }
  })

  it.effect("whose end was cut off gives the samples before, tells of the others and is kept", () =>
    Effect.gen(function*() {
      const { directory, file, key, memory, provider, state, store } = yield* left()
      Fs.truncateSync(file, Fs.statSync(file).size - 10)
      const rescued = yield* RescueFile.open(file)
      const elements = yield* Stream.runCollect(rescued.keys())
      assert.lengthOf(elements, 2)
      assert(Result.isFailure(elements[1]!))
      assert.strictEqual(elements[1].failure.kind, "Damaged")
      assert.include(elements[1].failure.message, "line 4 is not the line that was written")
      assert.strictEqual((yield* Effect.flip(Transfer.merge(rescued, yield* MemoryStore.make)))._tag, "StoreError")
      const merged = yield* Transfer.merge(rescued, yield* MemoryStore.make, { damaged: "skip" })
      assert.strictEqual(merged.copied, 2)
      assert.lengthOf(merged.damaged, 1)

      state.isBroken = false
      const next = yield* run(provider.model, store, directory, LlmModel.sampleMany("p", 2))
      assert.deepStrictEqual(succeeded(next), provider.given.slice(0, 2))
      assert.include(next.log, "line 4 is not the line that was written")
      assert.deepStrictEqual(yield* memory.positions(key), [0, 1])
      assert.deepStrictEqual(filesIn(directory), [`${Path.basename(file)}.damaged`])
      assert.strictEqual((yield* run(provider.model, store, directory, Effect.void)).log, "")
    }).pipe(Effect.scoped))

  it.effect("that lacks whole lines, or has changed ones, says so", () =>
    Effect.gen(function*() {
      const { file } = yield* left()
      const [header, first, second, third] = Fs.readFileSync(file, "utf8").split("\n")
      const damageOf = (...lines: ReadonlyArray<string | undefined>) =>
        Effect.gen(function*() {
          Fs.writeFileSync(file, `${lines.join("\n")}\n`)
          const elements = yield* Stream.runCollect((yield* RescueFile.open(file)).keys())
          return elements.flatMap((element) => Result.isFailure(element) ? [element.failure.description] : [])
        })
      assert.deepStrictEqual(yield* damageOf(header, first, second, third), [])
      assert.include((yield* damageOf(header, first)).join(), "2 of 3 lines are missing")
      for (
        const changed of [
          second!.replace("p #1", "p #7"),
          second!.replace(`"position":1`, `"position":-1`),
          second!.replace(`"position":1`, `"position":1.5`),
          second!.replace(/"id":"[^"]*"/, `"id":7`),
          second!.replace(`"mock`, `"`).replace(/"key":\[[^,]*,/, `"key":["x",`),
          "7",
          "{}"
        ]
      ) {
        assert.include((yield* damageOf(header, first, changed, third)).join(), "line 3 is not the line", changed)
      }
    }).pipe(Effect.scoped))

  it.effect.each(["", "# Notes", `{"a":1}`, `{"llm-cache rescue file":9,"store":"s","samples":0}`])(
    "is not taken for one: %j",
    (content) =>
      Effect.gen(function*() {
        const { directory, file, provider, store } = yield* left()
        Fs.writeFileSync(file, content)
        const error = yield* Effect.flip(RescueFile.open(file))
        assert.strictEqual(error.kind, "Damaged")
        const expected = content.includes("9") ? "update the library" : "is no rescue file"
        assert.include(error.message, expected)
        const next = yield* run(provider.model, store, directory, Effect.void)
        assert.include(next.log, expected)
        assert.strictEqual(Fs.readFileSync(file, "utf8"), content)
      }).pipe(Effect.scoped)
  )

  it.effect("is a store that can be read alone", () =>
    Effect.gen(function*() {
      const { file, key, provider } = yield* left()
      const store = yield* RescueFile.open(file)
      assert.deepStrictEqual((yield* store.getMany(key, 1, 5)).map(({ text }) => text), provider.given.slice(1))
      assert.deepStrictEqual(yield* store.positions(key), [0, 1, 2])
      const other = new Key.Key(key.identity, "another", [])
      assert.deepStrictEqual(yield* store.getMany(other, 0, 1), [])
      assert.deepStrictEqual(yield* store.positions(other), [])
      const listedOf = (identity: Key.Key["identity"]) => Stream.runCollect(store.keys({ identity }))
      assert.lengthOf(yield* listedOf(key.identity), 1)
      const stranger = yield* makeProvider({ model: "stranger" })
      assert.lengthOf(yield* listedOf(stranger.model.identity), 0)
      for (
        const refused of [
          store.prepare(key),
          store.put(key, [{ position: 0, drawn: drawn("x") }], "drop"),
          store.remove(key, [0])
        ]
      ) {
        assert.include((yield* Effect.flip(refused)).message, "a rescue file is only read")
      }
      assert.include((yield* Effect.flip(RescueFile.open(`${file}x`))).message, "no such file")
    }).pipe(Effect.scoped))

  it.effect("belongs to the store that failed, not to others", () =>
    Effect.gen(function*() {
      const { directory, file, provider } = yield* left()
      const other = yield* MemoryStore.make
      assert.strictEqual((yield* run(provider.model, other, directory, Effect.void)).log, "")
      assert.strictEqual(onlyFile(directory), file)
      assert.notInclude(directory, Os.homedir())
    }).pipe(Effect.scoped))
})
