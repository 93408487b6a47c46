import { assert, describe, it, vi } from "@effect/vitest"
import {
  Audit,
  Events,
  Fork,
  Identity,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  type SampleError,
  type SampleStore,
  Trace,
  Transfer,
  Usage
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { ConfigProvider, Effect, Exit, Layer, Result, Schema, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Recorder } from "../src/internal/trace/recorder.ts"
import { makeDirectory, readTree } from "./support/directory.ts"
import { patched } from "./support/patched.ts"
import { using } from "./support/provider.ts"
import { Combinator, directoryStore, take, Takes } from "./support/stack.ts"
import { traced } from "./support/traced.ts"

const makeMetered = () =>
  Effect.map(
    TestModel.make({
      model: "metered",
      script: ({ n, path, prompt }, i) => ({
        samples: Array.from({ length: n }, (_, j) => `${path.join()} ${prompt} ${i} ${j}`),
        inputTokens: 10 + i,
        outputTokens: 3 * n
      })
    }),
    ({ model }) => model
  )

const linesOf = (file: string) =>
  Fs.readFileSync(file, "utf8").trim().split("\n").map((line): Record<string, unknown> => JSON.parse(line))

describe("A trace", () => {
  it.effect.prop(
    "of a random program, read back, gives the counts of Usage and the positions of Audit",
    {
      stack: Schema.Array(Combinator).check(Schema.isMaxLength(3)),
      runs: Schema.Array(Takes).check(Schema.isMaxLength(2)),
      forks: Schema.Array(Schema.Literals(["f", "g"])).check(Schema.isMaxLength(2))
    },
    ({ forks, runs, stack }) =>
      Effect.gen(function*() {
        const root = yield* makeDirectory
        const stores = yield* Effect.forEach(stack, (_, i) =>
          directoryStore(Path.join(root, `${i}`), { durability: "process" }))
        const source = yield* makeMetered()
        for (const takes of runs) {
          yield* Effect.scoped(Effect.gen(function*() {
            const audit = yield* Audit.make
            const models = [source]
            for (const [height, combinator] of stack.toReversed().entries()) {
              const beneath = models[0]!
              const model = combinator === "Independent"
                ? yield* Independent.make(beneath)
                : combinator === "Repeatable"
                ? yield* Repeatable.make(beneath)
                : yield* Persistent.make(beneath, stores[height]!)
              models.unshift(audit.watch(model, combinator === "Persistent" ? stores[height]!.id : "other"))
            }
            const program = Effect.forEach(
              [[], ...forks.map((fork) => [fork])],
              (path) =>
                path.reduceRight(
                  (self, name) =>
                    Fork.fork(self, name),
                  Effect.forEach(takes, (one) => take(models[one.level % models.length]!, one)) as Effect.Effect<
                    unknown,
                    SampleError.SampleError
                  >
                )
            )
            const { exit, file, live } = yield* traced(root, Usage.measure(program))
            const [, usage] = yield* Effect.orDie(exit)
            assert.deepStrictEqual(yield* Trace.usage(file), usage)
            const receipt = yield* Trace.receipt(file)
            assert.deepStrictEqual(receipt, { ...live, exit: 0 })
            assert.deepInclude(receipt, {
              inputTokens: usage.spent.inputTokens,
              outputTokens: usage.spent.outputTokens,
              replayedInputTokens: usage.replayed.inputTokens,
              replayedOutputTokens: usage.replayed.outputTokens,
              missed: 0
            })
            assert.strictEqual(receipt.asked, usage.hits + usage.misses + receipt.bypassed)
            assert.strictEqual(receipt.asked, receipt.replayed + receipt.bought + receipt.bypassed)
            // Without its summary, the receipt is made of the lines.
            Fs.rmSync(file.replace(/l$/, ""))
            assert.deepStrictEqual(yield* Trace.receipt(file), receipt)
            const used = yield* Trace.used(file)
            const report = (yield* audit.report).filter(({ watch }) => watch !== "other")
            assert.deepStrictEqual(
              used.filter(({ store }) => store !== "Repeatable").map((
                { key: { path, promptHash }, positions, store }
              ) => [store, path.join(), promptHash, positions.length].join(" ")).toSorted(),
              report.map(({ distinct, identity, path, prompt, watch }) =>
                [watch, path.join(), new Key.Key(identity, prompt, path).promptHash, distinct].join(" ")
              ).toSorted()
            )
          }))
        }
      }),
    { arbitrary: { runs: 60 } }
  )

  it.effect("of a run knows exactly the samples that a slice of it would have", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const [big, slice, copied] = [yield* MemoryStore.make, yield* MemoryStore.make, yield* MemoryStore.make]
      const source = yield* makeMetered()
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(source, big)
        yield* Effect.forEach(["a", "b", "c"], (prompt) => LlmModel.sampleMany(prompt, 5)).pipe(using(model))
      }))
      const program = Effect.gen(function*() {
        const model = yield* Persistent.make(source, big)
        const upper = yield* Persistent.make(model, slice)
        yield* Effect.gen(function*() {
          yield* LlmModel.sampleMany("a", 2)
          yield* LlmModel.sampleMany("b", 7)
          yield* LlmModel.sampleOne("d").pipe(Fork.fork("f"))
        }).pipe(using(upper))
      })
      const { file } = yield* traced(root, Effect.scoped(program))
      for (const { key, positions, store } of yield* Trace.used(file)) {
        if (store !== big.id) continue
        const found = yield* Stream.runCollect(big.keys({ identity: key.identity, promptHash: key.promptHash }))
        for (
          const listed of found.map(Result.getOrThrow).filter((listed) => listed.key.path.join() === key.path.join())
        ) {
          for (const position of positions) {
            yield* copied.put(listed.key, [{ position, drawn: (yield* big.get(listed.key, position))! }], "drop")
          }
        }
      }
      const contents = (store: SampleStore.Store) =>
        Effect.gen(function*() {
          const found: Array<unknown> = []
          for (const element of yield* Stream.runCollect(store.keys())) {
            const { key } = yield* Effect.fromResult(element)
            for (const position of yield* store.positions(key)) {
              found.push([key.prompt, key.path.join(), position, (yield* store.get(key, position))?.text])
            }
          }
          return found.map((one) => JSON.stringify(one)).toSorted()
        })
      assert.deepStrictEqual(yield* contents(copied), yield* contents(slice))
    }))

  it.effect("tells a replay from runs that missed, bought, failed, went by the cache, or did nothing", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* MemoryStore.make
      const source = yield* makeMetered()
      const record = Effect.scoped(Effect.gen(function*() {
        yield* LlmModel.sampleMany("a", 3).pipe(using(yield* Persistent.make(source, store)))
      }))
      const replicate = (prompt: string, n: number) =>
        Effect.scoped(Effect.gen(function*() {
          const model = yield* Persistent.make(source, store, { replication: true })
          yield* LlmModel.sampleMany(prompt, n).pipe(using(model))
        }))
      const failing = yield* LlmModel.make({
        model: "metered",
        temperature: 1,
        generate: () => Effect.succeed({ samples: [] })
      })
      const receiptOf = <E>(self: Effect.Effect<unknown, E>) =>
        Effect.flatMap(traced(root, self), ({ file }) => Trace.receipt(file))
      assert.deepInclude(yield* receiptOf(Effect.void), { asked: 0, isReplay: false, exit: 0 })
      assert.deepInclude(yield* receiptOf(record), {
        asked: 3,
        bought: 3,
        replayed: 0,
        isReplay: false,
        outputTokens: 9
      })
      assert.deepInclude(yield* receiptOf(record), { asked: 3, bought: 0, replayed: 3, reread: 0, isReplay: true })
      const twice = Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(source, yield* MemoryStore.make)
        yield* Effect.andThen(LlmModel.sampleMany("a", 2), LlmModel.sampleMany("a", 2)).pipe(using(model))
      }))
      assert.deepInclude(yield* receiptOf(twice), { asked: 4, bought: 2, replayed: 2, reread: 2, isReplay: false })
      assert.deepInclude(yield* receiptOf(replicate("a", 3)), {
        asked: 3,
        replayed: 3,
        replayedInputTokens: 10,
        replayedOutputTokens: 9,
        inputTokens: 0,
        isReplay: true
      })
      assert.deepInclude(yield* receiptOf(Effect.andThen(replicate("a", 2), replicate("a", 3))), {
        asked: 5,
        replayed: 5,
        reread: 2,
        isReplay: true
      })
      assert.deepInclude(yield* receiptOf(replicate("a", 4)), {
        asked: 4,
        replayed: 3,
        missed: 1,
        isReplay: false,
        exit: 1
      })
      assert.deepInclude(yield* receiptOf(LlmModel.sampleMany("a", 2).pipe(using(source))), {
        asked: 2,
        bypassed: 2,
        bought: 0,
        isReplay: false
      })
      assert.deepInclude(yield* receiptOf(LlmModel.sampleOne("a").pipe(using(failing))), { failed: 1, isReplay: false })
      assert.deepInclude(yield* receiptOf(Effect.interrupt), { exit: 130 })
    }))

  it.effect("counts the requests that a server passed on", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const { file } = yield* Effect.scoped(Effect.gen(function*() {
        const { bypass, run } = yield* Trace.make({ directory: root })
        yield* bypass("POST", "/moderations", 200)
        return run
      }))
      const receipt = yield* Trace.receipt(file)
      assert.deepInclude(receipt, { asked: 1, bypassed: 1, replayed: 0, isReplay: false })
      Fs.rmSync(file.replace(/l$/, ""))
      assert.deepStrictEqual(yield* Trace.receipt(file), receipt)
      const entries = yield* Stream.runCollect(Trace.read(file))
      assert.deepInclude(entries[1], { type: "bypass", method: "POST", path: "/moderations", status: 200 })
    }))

  it.effect("counts a sample that an attempt draws again as bought once", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const source = yield* makeMetered()
      const program = Effect.gen(function*() {
        const attempt = yield* Repeatable.make(yield* Persistent.make(source, yield* MemoryStore.make))
        yield* Effect.replicateEffect(LlmModel.sampleOne("p"), 3).pipe(using(attempt))
      })
      const { file, live } = yield* traced(root, Effect.scoped(program))
      assert.deepInclude(live, { asked: 3, bought: 1, replayed: 2, reread: 2 })
      Fs.rmSync(file.replace(/l$/, ""))
      assert.deepStrictEqual(yield* Trace.receipt(file), { ...live, exit: 0 })
    }))

  it.effect("tells draws of a shared reader that race, and none with a fork for each", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const source = yield* TestModel.make({
        script: ({ n }) => Effect.as(Effect.yieldNow, Array<string>(n).fill("a"))
      })
      const run = (draw: (i: number) => typeof one) =>
        Effect.scoped(Effect.gen(function*() {
          const model = yield* Independent.make(yield* Persistent.make(source.model, yield* MemoryStore.make))
          yield* Effect.forEach([0, 1, 2], draw, { concurrency: 3 }).pipe(using(model))
          yield* LlmModel.sampleMany("p", 3).pipe(using(model))
        }))
      const one = LlmModel.sampleOne("p")
      const racing = yield* traced(root, run(() => one))
      assert.deepInclude(yield* Trace.receipt(racing.file), { asked: 6, racing: 2, isReplay: false })
      const entries = yield* Stream.runCollect(Trace.read(racing.file))
      assert.deepStrictEqual(entries.flatMap((entry) => entry.type === "raced" ? [entry.position] : []), [1, 2])
      const forked = yield* traced(root, run((i) => Fork.fork(one, `${i}`)))
      assert.deepInclude(yield* Trace.receipt(forked.file), { asked: 6, racing: 0 })
    }))

  it.effect("has no text of a sample, and the text of a prompt only if the cache does not have it", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root, { durability: "process" })
      const source = yield* makeMetered()
      const { file } = yield* traced(
        root,
        Effect.scoped(Effect.gen(function*() {
          yield* LlmModel.sampleOne("stored prompt").pipe(using(yield* Persistent.make(source, store)))
          const replication = yield* Persistent.make(source, store, { replication: true })
          yield* Effect.exit(
            LlmModel.sampleOne("missed \u{1F600}\n\uD800 prompt".toWellFormed()).pipe(using(replication))
          )
          yield* LlmModel.sampleOne("bypassing prompt").pipe(using(source))
        }))
      )
      const text = Fs.readFileSync(file, "utf8")
      assert.notInclude(text, "stored prompt")
      assert.notInclude(text, "prompt 0 0")
      assert.deepStrictEqual(
        linesOf(file).filter(({ t }) => t === "prompt").map(({ text }) => text),
        ["missed \u{1F600}\n\uFFFD prompt", "bypassing prompt"]
      )
      assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(Fs.statSync(file.replace(/l$/, "")).mode & 0o777, 0o600)
      // The folder of traces is no part of the cache.
      assert.strictEqual(Path.dirname(file), Path.join(root, ".runs"))
      Fs.mkdirSync(Path.join(root, ".runs", "m_1", "0".repeat(64)), { recursive: true })
      Fs.writeFileSync(Path.join(root, ".runs", "m_1", "0".repeat(64), "0.md"), "no sample")
      const again = yield* directoryStore(root)
      assert.strictEqual((yield* Stream.runCollect(again.keys())).length, 1)
      assert.strictEqual((yield* Stream.runCollect(again.identities)).length, 1)
      assert.deepInclude(yield* Transfer.verify(again), { keys: 1, samples: 1, damaged: [] })
      const copy = yield* makeDirectory
      yield* Transfer.copy(again, yield* directoryStore(copy))
      assert.isFalse(Object.keys(readTree(copy)).some((name) => name.includes(".runs")))
      const { identity } = new Key.Key(yield* Identity.make({ model: ".runs/m", temperature: 1 }), "p", [])
      const error = yield* Effect.flip(again.prepare(new Key.Key(identity, "p", [])))
      assert.strictEqual(error.kind, "InvalidName")
    }))

  it.effect("of a killed process is read up to its last whole line, and any other damage is told", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const source = yield* makeMetered()
      const store = yield* MemoryStore.make
      const run = Effect.scoped(Effect.gen(function*() {
        yield* LlmModel.sampleMany("a", 3).pipe(using(yield* Persistent.make(source, store)))
      }))
      const { file } = yield* traced(root, run)
      const whole = Fs.readFileSync(file, "utf8")
      const lines = whole.trimEnd().split("\n")
      const cut = `${lines.slice(0, -1).join("\n")}\n${lines.at(-1)!.slice(0, 7)}`
      Fs.writeFileSync(file, cut)
      assert.deepInclude(yield* Trace.receipt(file), { asked: 3, bought: 3, exit: undefined })
      const entries = yield* Stream.runCollect(Trace.read(file))
      assert.deepStrictEqual(entries.map(({ type }) => type), [
        "run",
        "miss",
        "sent",
        "done",
        "stored",
        "stored",
        "stored",
        "hit",
        "hit"
      ])
      Fs.writeFileSync(file, whole.replace(lines[2]!, "garbage"))
      const error = yield* Effect.flip(Stream.runDrain(Trace.read(file)))
      assert.strictEqual(error.kind, "Damaged")
      assert.include(error.message, "line 3 is no line of a trace")
      assert.include((yield* Effect.flip(Trace.receipt(Path.join(root, "nothing.jsonl")))).message, "nothing.jsonl")
    }))

  it.effect("of several megabytes is read whole, whatever its characters are", () =>
    Effect.gen(function*() {
      const recorder = new Recorder(yield* makeDirectory, "run", "run", 0)
      const identity = yield* Identity.make({ model: "m" })
      const prompts = Array.from({ length: 12 }, (_, i) => `${i}${"\u{1F600}\u00E9\n".repeat(40_000 + i)}`)
      for (const prompt of prompts) {
        recorder.listen({
          _tag: "Miss",
          key: new Key.Key(identity, prompt, []),
          position: 0,
          store: "s",
          asks: "nothing"
        })
      }
      recorder.end(1)
      const entries = yield* Stream.runCollect(Trace.read(recorder.path))
      const found = entries.flatMap((entry) => entry.type === "prompt" ? [entry.text] : [])
      assert.isTrue(found.length === 12 && prompts.every((prompt, i) => prompt === found[i]))
      assert.isAbove(Fs.statSync(recorder.path).size, 3_000_000)
    }))

  it.effect("at its limit has no more lines, and its receipt goes on and says so", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      const recorder = new Recorder(root, "run", "run", 0, 2000)
      for (let position = 0; position < 1000; position++) {
        recorder.listen({ _tag: "Hit", key, position, store: "s", waited: false, sample: { text: "a", metadata: {} } })
      }
      recorder.end(0)
      assert.isBelow(Fs.statSync(recorder.path).size, 2200)
      assert.deepInclude(yield* Trace.receipt(recorder.path), { asked: 1000, replayed: 1000, isCut: true, exit: 0 })
      const entries = yield* Stream.runCollect(Trace.read(recorder.path))
      assert.deepStrictEqual(entries.slice(-2).map(({ type }) => type), ["cut", "end"])
    }))

  it.effect("goes on beyond its limit with the positions of places, of new keys too", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      for (const limit of [0, 150, 250, 350, 450, 550, 650, 750]) {
        const recorder = new Recorder(root, `run-${limit}`, "run", 0, limit)
        for (const [i, model] of ["m", "n", "m", "o"].entries()) {
          const key = new Key.Key(yield* Identity.make({ model }), `p${i % 3}`, [])
          recorder.listen({ _tag: "Miss", key, position: i, store: "s", asks: "provider" })
          recorder.ask(key, 1)
          recorder.give("given", key, [i], undefined)
          recorder.give("given", key, [10 + i], "/independent")
        }
        recorder.end(0)
        const entries = yield* Stream.runCollect(Trace.read(recorder.path))
        assert.deepStrictEqual(
          entries.flatMap((entry) =>
            entry.type === "given" && entry.place !== undefined
              ? [[entry.key.identity.name, entry.positions[0]]]
              : []
          ),
          [["m", 10], ["n", 11], ["m", 12], ["o", 13]]
        )
        assert.isTrue(entries.some(({ type }) => type === "cut"))
      }
    }))

  it.effect("does not stop the program if it can no longer be written", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const source = yield* makeMetered()
      const store = yield* MemoryStore.make
      let writes = 0
      const { exit } = yield* traced(
        root,
        Effect.gen(function*() {
          const model = yield* Persistent.make(source, store)
          // More than the buffer holds.
          for (let i = 0; i < 600; i++) yield* LlmModel.sampleOne("a".repeat(i % 50)).pipe(using(model))
          return yield* LlmModel.sampleOne("a").pipe(using(model))
        })
      ).pipe(patched(["writeSync"], () => () => {
        writes++
        throw Object.assign(new Error("no space"), { code: "ENOSPC" })
      }))
      assert.isTrue(Exit.isSuccess(exit))
      assert.isAbove(writes, 0)
    }))

  it.effect("on a full disk has its lines later, whole, and says that the positions of a place are not there", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      let isFull = false
      const file = yield* Effect.scoped(Effect.gen(function*() {
        const trace = yield* Trace.make({ directory: root })
        yield* trace.give(key, [0], "/independent")
        isFull = true
        const error = yield* Effect.flip(trace.give(key, [1], "/independent"))
        assert.strictEqual(error._tag, "StoreError")
        assert.include(error.message, "no space")
        yield* Effect.flip(trace.takeBack(key, [1], "/independent"))
        isFull = false
        yield* trace.give(key, [2], "/independent")
        return trace.run.file
      })).pipe(patched(["writeSync"], (_, original) => (descriptor, bytes, ...rest) => {
        if (!isFull) return original(descriptor, bytes, ...rest)
        // A part of it still fits.
        if (bytes.length > 20) return original(descriptor, bytes.subarray(0, 20))
        throw Object.assign(new Error("no space"), { code: "ENOSPC" })
      }))
      const entries = yield* Stream.runCollect(Trace.read(file))
      assert.deepStrictEqual(
        entries.map((entry) => "positions" in entry ? [entry.type, entry.positions[0]] : [entry.type]),
        [["run"], ["given", 0], ["given", 1], ["returned", 1], ["given", 2], ["end"]]
      )
    }))

  it.effect("that can no longer be written keeps a bounded part, and never says that it has the positions of a place", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p".repeat(1000), [])
      const recorder = new Recorder(root, "run", "run", 0)
      let thrown = 0
      yield* Effect.sync(() => {
        for (let position = 0; position < 40_000; position++) {
          try {
            recorder.ask(key, position)
          } catch {
            thrown++
          }
        }
        assert.throws(() => recorder.give("given", key, [0], "/independent"), "no space")
      }).pipe(patched(["writeSync"], () => () => {
        throw Object.assign(new Error("no space"), { code: "ENOSPC" })
      }))
      assert.strictEqual(thrown, 1)
      assert.throws(() => recorder.give("given", key, [0], "/independent"), "no space")
    }))

  it.effect("holds no file and no listener open, however many there are", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const opened = () => Fs.readdirSync("/dev/fd").length
      const [files, listeners] = [opened(), process.listenerCount("exit")]
      yield* Effect.scoped(Effect.gen(function*() {
        const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
        const traces = yield* Effect.replicateEffect(Trace.make({ directory: root }), 50)
        for (const trace of traces) {
          yield* trace.give(key, [0], "/independent")
          yield* trace.ask(key, 1)
        }
        assert.isAtMost(opened(), files + 5)
        assert.isAtMost(process.listenerCount("exit"), listeners + 1)
      }))
      assert.strictEqual(process.listenerCount("exit"), listeners)
      const all = yield* Trace.list(root)
      assert.strictEqual(all.length, 50)
      for (const { file } of all) {
        assert.strictEqual((yield* Stream.runCollect(Trace.read(file))).length, 4)
      }
    }))

  it.effect("by LLM_CACHE_TRACE is beside the cache, leaves the program its own Events, and is listed", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const source = yield* makeMetered()
      const heard: Array<string> = []
      const program = Effect.gen(function*() {
        yield* Events.listen(({ _tag }) => heard.push(_tag))
        return yield* LlmModel.sampleMany("a", 3)
      }).pipe(Effect.scoped)
      const run = (trace: string) =>
        program.pipe(
          Effect.provide(Layer.merge(
            Persistent.layerConfig().pipe(Layer.provide(Layer.succeed(LlmModel.LlmModel, source))),
            Events.layer
          )),
          Effect.provide(ConfigProvider.layer(
            ConfigProvider.fromUnknown({ LLM_CACHE_DIRECTORY: root, LLM_CACHE_TRACE: trace })
          ))
        )
      yield* run("0")
      assert.deepStrictEqual(yield* Trace.list(root), [])
      const before = heard.splice(0)
      assert.deepStrictEqual(before, ["Miss", "RequestSent", "RequestDone", "Stored", "Stored", "Stored", "Hit", "Hit"])
      yield* run("1")
      assert.deepStrictEqual(heard, ["Hit", "Hit", "Hit"])
      const [trace] = yield* Trace.list(root)
      assert.match(trace!.id, /^[\d-]+T[\d-]+-run$/)
      assert.deepInclude(yield* Trace.receipt(trace!.file), { asked: 3, replayed: 3, isReplay: true, exit: 0 })
    }))

  it.effect("notes what clients of a server asked and were given, and takes another exit code", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = new Key.Key(yield* Identity.make({ model: "m", temperature: 0.5 }), "p", ["f", "g"])
      const file = yield* Effect.scoped(Effect.gen(function*() {
        const trace = yield* Trace.make({ directory: root, name: "../ a*b\u{1F600}" })
        yield* trace.ask(key, 3)
        yield* trace.give(key, [4, 7])
        yield* trace.exitWith(3)
        const same = yield* Trace.make({ directory: root, name: "../ a*b\u{1F600}" })
        assert.notStrictEqual(same.run.file, trace.run.file)
        return trace.run.file
      }))
      assert.strictEqual(Path.dirname(file), Path.join(root, ".runs"))
      const entries = yield* Stream.runCollect(Trace.read(file))
      const { identity, path, promptHash } = key
      assert.deepStrictEqual(entries.map(({ type }) => type), ["run", "ask", "given", "end"])
      assert.deepInclude(entries[1], { type: "ask", key: { identity, path, promptHash }, n: 3 })
      assert.deepInclude(entries[2], { type: "given", positions: [4, 7] })
      assert.strictEqual((yield* Trace.receipt(file)).exit, 3)
      assert.strictEqual((yield* Trace.list(root)).length, 2)
      assert.strictEqual((yield* Trace.list(root, "../ a*b\u{1F600}")).length, 2)
      assert.deepStrictEqual(yield* Trace.list(root, "a*b"), [])
    }))

  it.effect("is found by its name and not by the list of all, until it is removed", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const names = ["a", "a-2", "a", "", "..", "b/../a", "x".repeat(300)]
      const traces = yield* Effect.scoped(
        Effect.forEach(names, (name) => Effect.map(Trace.make({ directory: root, name }), ({ run }) => ({ name, run })))
      )
      const foundBy = (name: string) => Effect.map(Trace.list(root, name), (runs) => runs.map(({ id }) => id))
      for (const name of names) {
        const own = traces.filter((trace) => trace.name === name).map(({ run }) => run.id).sort()
        assert.deepStrictEqual(yield* foundBy(name), own, name)
      }
      assert.deepStrictEqual(yield* foundBy("-"), [])
      // Somebody deletes one by hand.
      Fs.rmSync(traces[0]!.run.file)
      assert.deepStrictEqual(yield* foundBy("a"), [traces[2]!.run.id])
      for (const { run } of traces) {
        yield* Trace.remove(run.file)
        assert.isFalse((yield* Trace.list(root)).some(({ id }) => id === run.id))
      }
      const left = Fs.readdirSync(Path.join(root, ".runs"), { recursive: true })
      assert.deepStrictEqual(left, [".names"])
      // A folder of a name that was removed is there again for the next trace.
      const again = yield* Effect.scoped(Trace.make({ directory: root, name: "a" }))
      assert.deepStrictEqual(yield* foundBy("a"), [again.run.id])
    }))

  it.effect("has the positions of a place at once, and a run that is suspended has no end", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      const read = (file: string) =>
        Effect.map(
          Stream.runCollect(Trace.read(file)),
          (entries) =>
            entries.map((entry) => "positions" in entry ? [entry.type, entry.positions, entry.place] : entry.type)
        )
      const file = yield* Effect.scoped(Effect.gen(function*() {
        const trace = yield* Trace.make({ directory: root })
        yield* trace.give(key, [4, 7], "/independent")
        yield* trace.takeBack(key, [7], "/independent")
        assert.deepStrictEqual(yield* read(trace.run.file), [
          "run",
          ["given", [4, 7], "/independent"],
          ["returned", [7], "/independent"]
        ])
        yield* trace.suspend
        return trace.run.file
      }))
      assert.deepStrictEqual((yield* read(file)).slice(3), ["pause"])
      assert.isUndefined((yield* Trace.receipt(file)).exit)
    }))

  it.effect("knows whether its process still runs", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const { run: { file } } = yield* Trace.make({ directory: root })
      const [begun] = yield* Stream.runCollect(Trace.read(file))
      assert.isTrue(begun?.type === "run" && Trace.isRunning(begun))
      assert.isFalse(begun?.type === "run" && Trace.isRunning({ ...begun, pid: 2 ** 30 }))
      // The number was used again, or is that of a process on another machine.
      if (process.platform === "linux") {
        assert.isFalse(begun?.type === "run" && Trace.isRunning({ ...begun, birth: "1" }))
      }
      assert.isFalse(begun?.type === "run" && Trace.isRunning({ ...begun, host: "other" }))
    }))

  it("is beside a directory or a file, or in the user's state", () => {
    assert.strictEqual(Trace.directoryOf("/a/cache"), "/a/cache")
    assert.strictEqual(Trace.directoryOf("/a/cache.db"), "/a")
    assert.isUndefined(Trace.directoryOf("postgres://localhost/db"))
  })

  it.effect("of a run that waits has a summary of all its lines", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })),
        () => Effect.sync(() => vi.useRealTimers())
      )
      const { listener, run } = yield* Trace.make({ directory, name: "waits" })
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      for (const position of [0, 1]) {
        listener({ _tag: "Hit", key, position, store: "s", waited: false, sample: { text: "a", metadata: {} } })
        vi.advanceTimersByTime(300)
      }
      vi.advanceTimersByTime(1000)
      assert.strictEqual((yield* Trace.lastReceipt(run.file))?.asked, 2)
    }))

  it.effect("that was deleted gets no summary, and one whose summary cannot be written goes on", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })),
        () => Effect.sync(() => vi.useRealTimers())
      )
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      const begin = Effect.map(Trace.make({ directory, name: "n" }), ({ listener, run }) => {
        const hit = (position: number) =>
          listener({ _tag: "Hit", key, position, store: "s", waited: false, sample: { text: "a", metadata: {} } })
        hit(0)
        vi.advanceTimersByTime(300)
        return { hit, run, summary: run.file.replace(/l$/, "") }
      })
      const deleted = yield* begin
      yield* Trace.remove(deleted.run.file)
      vi.advanceTimersByTime(2000)
      assert.isFalse(Fs.existsSync(deleted.summary))
      const other = yield* begin
      Fs.rmSync(other.summary)
      Fs.mkdirSync(other.summary)
      vi.advanceTimersByTime(2000)
      other.hit(1)
      vi.advanceTimersByTime(300)
      assert.strictEqual((yield* Trace.receipt(other.run.file)).asked, 2)
    }))
})
