import { assert, describe, it } from "@effect/vitest"
import {
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  SampleError,
  SampleStore,
  Transfer
} from "@llm-cache/core"
import { ConfigProvider, Deferred, Effect, Exit, Fiber, Layer, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { inspect } from "node:util"
import { sha256 } from "./support/caches.ts"
import { makeDirectory, readTree, samplesIn } from "./support/directory.ts"
import { makeProvider, using } from "./support/provider.ts"
import { build, directoryStore } from "./support/stack.ts"

const miss = (error: unknown): SampleError.ReplicationCacheMiss => {
  assert.instanceOf(error, SampleError.ReplicationCacheMiss)
  return error
}

describe("Replication", () => {
  const recorded = (prompts: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const values = yield* Effect.forEach(prompts, (prompt) => LlmModel.sampleMany(prompt, 3)).pipe(
        Effect.provide(Persistent.layer({ directory: root })),
        Effect.provide(provider.layer)
      )
      provider.requests.length = 0
      const layer = Persistent.layer({ directory: root, replication: true }).pipe(Layer.provide(provider.layer))
      return { root, provider, values, layer }
    })

  it.effect("returns the recorded samples, sends no request and writes nothing", () =>
    Effect.gen(function*() {
      const { layer, provider, root, values } = yield* recorded(["a", "b"])
      const before = readTree(root)
      const again = Effect.forEach(["a", "b"], (prompt) => LlmModel.sampleMany(prompt, 3))
      assert.deepStrictEqual(yield* Effect.provide(again, layer), values)
      for (
        const draw of [
          LlmModel.sampleMany("a", 4),
          LlmModel.sampleMany("c", 1),
          Effect.provide(LlmModel.sampleMany("a", 4), Independent.layer),
          Effect.provide(LlmModel.sampleMany("a", 4), Repeatable.layer)
        ]
      ) {
        miss(yield* Effect.flip(Effect.provide(draw, layer)))
      }
      assert.deepStrictEqual(provider.requests, [])
      assert.deepStrictEqual(readTree(root), before)
    }))

  it.effect("needs no model, no HTTP client and no key", () =>
    Effect.gen(function*() {
      const { root, values } = yield* recorded(["a"])
      const program: Effect.Effect<Array<string>, SampleError.SampleError> = LlmModel.sampleMany("a", 3).pipe(
        Effect.provide(
          Persistent.layerReplication({ directory: root, model: "whatever", alias: "mock", temperature: 1 })
        )
      )
      assert.deepStrictEqual(yield* program, values[0])
    }))

  it.effect("has different messages for an exhausted sequence and an unknown prompt", () =>
    Effect.gen(function*() {
      const { layer, root } = yield* recorded(["the quick brown fox", "something else"])
      const exhausted = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleMany("something else", 9), layer)))
      assert.strictEqual(exhausted.position, 3)
      assert.deepStrictEqual(exhausted.present, [0, 1, 2])
      assert.strictEqual(exhausted.nearest, undefined)
      assert.include(exhausted.message, "position 3")
      assert.include(exhausted.message, "0-2")
      const unknown = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleOne("the quick red fox"), layer)))
      assert.strictEqual(unknown.position, 0)
      assert.deepStrictEqual(unknown.present, [])
      assert.deepStrictEqual(unknown.nearest, { prompt: "the quick brown fox", differsAt: 10 })
      assert.strictEqual(unknown.identity.name, "mock")
      assert.strictEqual(unknown.prompt, "the quick red fox")
      assert.deepStrictEqual(unknown.path, [])
      assert.isTrue(unknown.store.startsWith(root))
      assert.isTrue(unknown.store.endsWith(unknown.promptHash))
      assert.include(unknown.message, "differs from character 10")
      assert.include(unknown.message, "brown")
    }))

  it.effect.each<readonly [stored: string, asked: string, one: string, other: string]>([
    ["hello world", "hello\u00a0world", "U+0020", "U+00A0"],
    ["scope", "s\u0441ope", "U+0063", "U+0441"],
    ["caf\u00e9!", "cafe\u0301!", "U+00E9", "U+0065 U+0301"],
    ["e\u0300", "e\u0301", "U+0300", "U+0301"],
    ["\ud83d\ude00", "\ud83d\ude01", "U+1F600", "U+1F601"],
    ["hello", "hello\u200b", "the end", "U+200B"],
    ["hello", "hello\n", "the end", "U+000A"],
    ["a\r\nb", "a\nb", "U+000D", "U+000A"],
    ["a-b", "a\u2011b", "U+002D", "U+2011"],
    ["Ill", "lll", "U+0049", "U+006C"]
  ])(
    "shows the code points where prompts look alike: %j and %j",
    ([stored, asked, one, other]) =>
      Effect.gen(function*() {
        const { layer } = yield* recorded([stored])
        const { message } = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleOne(asked), layer)))
        assert.match(message, /it has "[^"]*" \(([^)]*)\) where this one has "[^"]*" \(([^)]*)\)/)
        const [, ...shown] = /has "[^"]*" \(([^)]*)\) where this one has "[^"]*" \(([^)]*)\)/.exec(message)!
        assert.deepStrictEqual(shown, [one, other])
        assert.strictEqual(message.includes("two forms of Unicode"), stored.startsWith("caf"))
        assert.notInclude(message, "\u200b")
      })
  )

  it.effect("is short as JSON: it has the hashes of the prompts, and their difference", () =>
    Effect.gen(function*() {
      const long = (word: string) => `${"x".repeat(5000)} ${word} ${"y".repeat(5000)}`
      const { layer } = yield* recorded([long("brown")])
      const error = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleOne(long("red")), layer)))
      assert.deepInclude(JSON.parse(JSON.stringify(error)), {
        _tag: "ReplicationCacheMiss",
        prompt: `…"${"x".repeat(19)} red ${"y".repeat(26)}"…`,
        promptHash: error.promptHash,
        position: 0,
        nearest: {
          prompt: `…"${"x".repeat(19)} brown ${"y".repeat(24)}"…`,
          promptHash: sha256(long("brown")),
          differsAt: 5001
        },
        message: error.message
      })
      assert.isBelow(JSON.stringify(error).length, 2000)
      const exhausted = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleMany(long("brown"), 9), layer)))
      assert.isBelow(JSON.stringify(exhausted).length, 2000)
    }))

  it.effect("says at once that nothing is stored under this identity", () =>
    Effect.gen(function*() {
      const { root } = yield* recorded(["a"])
      const error = miss(
        yield* Effect.flip(
          LlmModel.sampleOne("a").pipe(
            Effect.provide(Persistent.layerReplication({ directory: root, model: "mock", temperature: 0.3 }))
          )
        )
      )
      assert.strictEqual(error.nearest, undefined)
      assert.include(error.message, "identity")
      assert.include(error.message, "temperature 0.3")
    }))

  it.effect("does not store a prompt whose request failed, nor name it as its own nearest prompt", () =>
    Effect.gen(function*() {
      const { layer, provider, root } = yield* recorded(["hello there"])
      provider.failures = 1
      const live = Layer.provide(Persistent.layer({ directory: root }), provider.layer)
      yield* Effect.flip(Effect.provide(LlmModel.sampleOne("hello"), live))
      const error = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleOne("hello"), layer)))
      assert.deepStrictEqual(error.nearest, { prompt: "hello there", differsAt: 5 })
    }))

  it.effect("fails with errors that print their message and fields", () =>
    Effect.gen(function*() {
      const { layer } = yield* recorded(["a"])
      const error = miss(yield* Effect.flip(Effect.provide(LlmModel.sampleOne("b"), layer)))
      for (const printed of [inspect(error), JSON.stringify(error), String(error)]) {
        assert.include(printed, "Nothing is stored for prompt")
      }
      assert.strictEqual(JSON.parse(JSON.stringify(error)).prompt, "b")
    }))

  it.effect("fails with a miss that catchTag catches, so that the stream can continue elsewhere", () =>
    Effect.gen(function*() {
      const { layer } = yield* recorded(["a"])
      const texts = yield* LlmModel.sample("a").pipe(
        Stream.catchTag("ReplicationCacheMiss", ({ position }) => Stream.make(`no ${position}`)),
        Stream.runCollect,
        Effect.provide(layer)
      )
      assert.deepStrictEqual(texts, ["a #0", "a #1", "a #2", "no 3"])
    }))
})

describe("A slice", () => {
  it.effect("records the used samples of an original cache and of a replication", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const big = Persistent.layer({ directory: Path.join(root, "big") })
      const all = yield* LlmModel.sampleMany("a", 10).pipe(Effect.provide(big), Effect.provide(provider.layer))
      for (const replication of [false, true]) {
        const slice = Path.join(root, `slice ${replication}`)
        const taken = yield* LlmModel.sample("a").pipe(
          Stream.take(4),
          Stream.runCollect,
          Effect.provide(Persistent.layer({ directory: slice })),
          Effect.provide(Persistent.layer({ directory: Path.join(root, "big"), replication })),
          Effect.provide(provider.layer)
        )
        assert.deepStrictEqual(taken, all.slice(0, 4))
        assert.deepStrictEqual(Object.values(samplesIn(slice)), taken)
      }
      assert.deepStrictEqual(provider.requests, [10])
    }))

  it.effect("takes only the consumed samples of a batch, and the big cache takes all", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider({ maxBatch: 10 })
      const [model] = yield* build(["Persistent", "Persistent"], provider.model, root)
      yield* LlmModel.sample("a", { batch: 20 }).pipe(Stream.take(3), Stream.runDrain, using(model!))
      assert.deepStrictEqual(provider.requests, [10])
      assert.strictEqual(Object.keys(samplesIn(Path.join(root, "0"))).length, 10)
      assert.strictEqual(Object.keys(samplesIn(Path.join(root, "1"))).length, 3)
    }).pipe(Effect.scoped))

  it.effect("takes a deleted position again from the same position of the big cache", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const program = Effect.scoped(
        Effect.flatMap(
          build(["Persistent", "Persistent"], provider.model, root),
          ([model]) => LlmModel.sampleMany("a", 4).pipe(using(model!))
        )
      )
      const before = yield* program
      const file = Object.keys(readTree(root)).find((path) => path.startsWith("1") && path.endsWith("1.md"))!
      Fs.rmSync(Path.join(root, file))
      assert.deepStrictEqual(yield* program, before)
      assert.strictEqual(readTree(root)[file], before[1])
    }).pipe(Effect.scoped))

  it.effect("keeps each sample at its position if the store fails between draw and put", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const big = yield* Persistent.make(provider.model, yield* directoryStore(yield* makeDirectory))
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      let failures = 1
      const slice = yield* Persistent.make(big, {
        ...store,
        put: (key, entries, ifTaken) =>
          entries[0].position === 2 && failures-- > 0
            ? Effect.fail(
              new SampleError.StoreError({ kind: "Unavailable", store: "test", operation: "put", description: "full" })
            )
            : store.put(key, entries, ifTaken)
      })
      const { Key } = yield* Effect.promise(() => import("@llm-cache/core"))
      const key = new Key.Key(big.identity, "a", [])
      assert.strictEqual((yield* Effect.flip(slice.draw(key, 2, 1)))._tag, "StoreError")
      assert.strictEqual((yield* slice.draw(key, 0, 1))[0].text, (yield* big.draw(key, 0, 1))[0].text)
      assert.strictEqual((yield* slice.draw(key, 2, 1))[0].text, (yield* big.draw(key, 2, 1))[0].text)
    }).pipe(Effect.scoped))
})

describe("Nested stores", () => {
  it.effect("in memory are independent of each other", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const cache = () => Layer.provide(Persistent.layer(), MemoryStore.layer)
      const texts = yield* Effect.all([LlmModel.sampleMany("p", 2), LlmModel.sampleMany("p", 6)]).pipe(
        Effect.provide(cache()),
        Effect.provide(Independent.layer),
        Effect.provide(cache()),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(texts, [provider.given.slice(0, 2), provider.given.slice(0, 6)])
    }))

  it.effect("must differ if an Independent is between them, and can be the same otherwise", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const directory = yield* makeDirectory
      const nested = (between: Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel>) =>
        LlmModel.sampleMany("p", 3).pipe(
          Effect.provide(Persistent.layer({ directory })),
          Effect.provide(between),
          Effect.provide(Persistent.layer({ directory: Path.join(directory, ".") })),
          Effect.provide(provider.layer)
        )
      const error = yield* Effect.flip(nested(Independent.layer))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, "store of its own")
      assert.deepStrictEqual(provider.requests, [])
      assert.deepStrictEqual(yield* nested(Repeatable.layer), ["p #0", "p #1", "p #2"])
      assert.deepStrictEqual(Object.values(samplesIn(directory)), provider.given)
    }))

  it.effect("keep the samples of two processes, even with readers at the same position", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* MemoryStore.make
      const ready = yield* Deferred.make<void>()
      provider.gate = Effect.suspend(() =>
        provider.requests.length === 2 ? Deferred.succeed(ready, undefined) : Deferred.await(ready)
      )
      const process = LlmModel.sampleOne("p").pipe(
        Effect.provide(Layer.provide(Persistent.layer(), Layer.succeed(SampleStore.SampleStore, store))),
        Effect.provide(Independent.layer),
        Effect.provide(Repeatable.layer),
        Effect.provide(provider.layer)
      )
      const texts = yield* Effect.all([process, process], { concurrency: 2 })
      assert.strictEqual(texts[0], texts[1])
      const key = new Key.Key(provider.model.identity, "p", [])
      const stored = yield* Effect.forEach(yield* store.positions(key), (position) => store.get(key, position))
      assert.sameMembers(stored.map((drawn) => drawn!.text), provider.given)
      assert.deepStrictEqual(stored.map((drawn) => drawn!.origins), [[0], [0]])
    }))

  it.effect("let an interrupted program end if a store hangs", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      for (
        const hanging of [{ prepare: () => Effect.never }, { get: () => Effect.never }, {
          positions: () => Effect.never
        }]
      ) {
        const layer = Layer.provide(
          Persistent.layer(),
          Layer.succeed(SampleStore.SampleStore, { ...store, ...hanging })
        )
        const given = yield* LlmModel.sampleMany("p", 3).pipe(
          Effect.provide(Layer.provide(layer, provider.layer)),
          Effect.timeoutOption("1 second"),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        assert.isTrue(Option.isNone(yield* Fiber.join(given)))
      }
    }))
})

describe("sampleMany under Independent", () => {
  it.effect("gets its samples again if it fails midway and is retried, and replays", () =>
    Effect.gen(function*() {
      for (const stack of [["Independent"], ["Independent", "Persistent"]] as const) {
        const root = yield* makeDirectory
        const provider = yield* makeProvider({ maxBatch: 2 })
        provider.gate = Effect.sync(() => {
          provider.failures = provider.requests.length === 2 ? 1 : 0
        })
        const program = Effect.scoped(Effect.flatMap(build(stack, provider.model, root), ([model]) =>
          LlmModel.sampleMany("p", 4).pipe(Effect.retry({ times: 3 }), using(model!))))
        assert.deepStrictEqual(yield* program, ["p #0", "p #1", "p #2", "p #3"])
        assert.deepStrictEqual(provider.requests, [2, 2, 2])
        if (stack.length === 2) {
          assert.deepStrictEqual(yield* program, ["p #0", "p #1", "p #2", "p #3"])
        }
      }
    }))

  it.effect("gives its samples back if it is interrupted midway", () =>
    Effect.gen(function*() {
      for (const stack of [["Independent"], ["Independent", "Persistent"]] as const) {
        const provider = yield* makeProvider({ maxBatch: 2 })
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        provider.gate = Effect.suspend(() => provider.requests.length === 2 ? Effect.never : Effect.void)
        const fiber = yield* Effect.forkChild(LlmModel.sampleMany("p", 4).pipe(using(model!)), {
          startImmediately: true
        })
        yield* Effect.replicateEffect(Effect.yieldNow, 10, { discard: true })
        assert.deepStrictEqual(provider.requests, [2, 2])
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 2).pipe(using(model!)), ["p #0", "p #1"])
      }
    }).pipe(Effect.scoped))
})

it.effect("Independent over a provider hands out all requested samples, also after a failed draw", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider({ brings: (n) => n + 1 })
    const model = yield* Independent.make(provider.model)
    provider.failures = 1
    const two = Effect.forEach([1, 2], () => Effect.exit(LlmModel.sampleOne("p")), { concurrency: 2 })
    const first = (yield* two.pipe(using(model))).flatMap((exit) => Exit.isSuccess(exit) ? [exit.value] : [])
    const rest = Stream.runCollect(Stream.take(LlmModel.sample("p", { batch: 3 }), 3)).pipe(using(model))
    const all = [...first, ...yield* rest, ...yield* rest, ...yield* rest]
    assert.sameMembers(all, provider.given.slice(0, all.length))
  }).pipe(Effect.scoped))

describe("The samples of a request that the store did not take", () => {
  it.effect("are stored and handed out by the next draws, each once, before any other request", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      let full = true
      const model = yield* Persistent.make(provider.model, {
        ...store,
        put: (key, entries, ifTaken) =>
          full
            ? Effect.fail(
              new SampleError.StoreError({ kind: "Unavailable", store: "test", operation: "put", description: "full" })
            )
            : store.put(key, entries, ifTaken)
      })
      assert.strictEqual((yield* Effect.flip(LlmModel.sampleMany("a", 4).pipe(using(model))))._tag, "StoreError")
      full = false
      const texts = yield* LlmModel.sampleMany("a", 4).pipe(using(model))
      assert.sameMembers(texts, provider.given)
      assert.deepStrictEqual(provider.requests, [4])
    }).pipe(Effect.scoped))
})

describe("Persistent.layerConfig", () => {
  const program = LlmModel.sampleMany("a", 2)

  const configured = (env: Record<string, string>) =>
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))

  it.effect("switches a finished program to a cache and to replication by environment variables", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const finished = program.pipe(Effect.provide(Persistent.layerConfig()), Effect.provide(provider.layer))
      const values = yield* finished.pipe(configured({ LLM_CACHE_DIRECTORY: root }))
      assert.deepStrictEqual(
        yield* finished.pipe(configured({ LLM_CACHE_DIRECTORY: root, LLM_CACHE_REPLICATION: "true" })),
        values
      )
      const other = yield* makeDirectory
      miss(yield* Effect.flip(finished.pipe(configured({ LLM_CACHE_DIRECTORY: other, LLM_CACHE_REPLICATION: "true" }))))
      assert.deepStrictEqual(provider.requests, [2])
      yield* finished.pipe(configured({ LLM_CACHE_DIRECTORY: other, LLM_CACHE_REPLICATION: "false" }))
      assert.deepStrictEqual(provider.requests, [2, 2])
    }))

  it.effect.each([
    [{}, "LLM_CACHE_DIRECTORY"],
    [{ LLM_CACHE_DIRECTORY: "" }, "LLM_CACHE_DIRECTORY"],
    [{ LLM_CACHE_DIRECTORY: "x", LLM_CACHE_REPLICATION: "maybe" }, "LLM_CACHE_REPLICATION"]
  ])("fails with a ConfigError that names the variable for %j", ([env, name]) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const error = yield* program.pipe(
        Effect.provide(Persistent.layerConfig()),
        Effect.provide(provider.layer),
        configured(env as Record<string, string>),
        Effect.flip
      )
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, name as string)
      assert.deepStrictEqual(provider.requests, [])
    }))

  it.effect("excludes the finish reasons of the program, also in replication", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      let requests = 0
      const reasons = ["length", "stop", "length", "stop"]
      const provider = LlmModel.layer({
        model: "m",
        generate: () => Effect.sync(() => ({ samples: [{ text: `${requests}`, finishReason: reasons[requests++] }] }))
      })
      const finished = program.pipe(
        Effect.provide(Persistent.layerConfig({ excludeFinishReasons: ["length"] })),
        Effect.provide(provider)
      )
      const run = (LLM_CACHE_REPLICATION: string) =>
        finished.pipe(configured({ LLM_CACHE_DIRECTORY: directory, LLM_CACHE_REPLICATION }))
      assert.deepStrictEqual(yield* run("false"), ["1", "3"])
      assert.deepStrictEqual(yield* run("true"), ["1", "3"])
      assert.strictEqual(requests, 4)
    }))

  it.effect("reads variables of other names", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const { Config } = yield* Effect.promise(() => import("effect"))
      yield* program.pipe(
        Effect.provide(
          Persistent.layerConfig({ directory: Config.String("WHERE"), replication: Config.Boolean("OFFLINE") })
        ),
        Effect.provide(provider.layer),
        configured({ WHERE: root, OFFLINE: "no" })
      )
      assert.strictEqual(Object.keys(samplesIn(root)).length, 2)
    }))

  it.effect("prefers the options of the program to variables", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const run = (options: Persistent.ConfigOptions, env: Record<string, string>) =>
        program.pipe(Effect.provide(Persistent.layerConfig(options)), Effect.provide(provider.layer), configured(env))
      miss(yield* Effect.flip(run({ directory: root }, { LLM_CACHE_REPLICATION: "true" })))
      yield* run({ directory: root, replication: false }, { LLM_CACHE_DIRECTORY: "", LLM_CACHE_REPLICATION: "true" })
      assert.deepStrictEqual(provider.requests, [2])
      miss(yield* Effect.flip(run({ replication: true }, { LLM_CACHE_DIRECTORY: `${root}/other` })))
      assert.strictEqual(Object.keys(samplesIn(root)).length, 2)
    }))
})

describe("A draw of several requests", () => {
  const makeSingle = (
    generate: (request: number) => Effect.Effect<string, SampleError.SampleError>,
    concurrency = 4
  ) => {
    let requests = 0
    return LlmModel.make({
      model: "m",
      maxBatch: 1,
      concurrency,
      generate: () => Effect.map(Effect.suspend(() => generate(requests++)), (text) => ({ samples: [text] }))
    })
  }

  it.effect("keeps the answers of finished requests if the program ends during another request", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const started = yield* Deferred.make<void>()
      const model = yield* makeSingle((i) =>
        i === 3 ? Effect.andThen(Deferred.succeed(started, undefined), Effect.never) : Effect.succeed(`${i}`)
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const cached = yield* Persistent.make(model, yield* directoryStore(directory))
        yield* Effect.forkChild(Effect.exit(LlmModel.sampleMany("p", 4).pipe(using(cached))), {
          startImmediately: true
        })
        yield* Deferred.await(started)
        for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      }))
      assert.deepStrictEqual(Object.values(samplesIn(directory)), ["0", "1", "2"])
    }))
})

it.effect("A cache keeps every sample of a model that makes several of one answer, also after a merge", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const splitting = LlmModel.fromDraw({
      ...provider.model,
      draw: (...args) =>
        Effect.map(provider.model.draw(...args), ([sample]) => [
          { ...sample, text: `${sample.text} left` },
          { ...sample, text: `${sample.text} right` }
        ])
    })
    const [store, merged] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
    const model = yield* Persistent.make(splitting, store)
    const expected = ["p #0 left", "p #0 right", "p #1 left", "p #1 right"]
    assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 4, { batch: 1 }).pipe(using(model)), expected)
    const key = new Key.Key(model.identity, "p", [])
    yield* merged.put(key, [{ position: 0, drawn: { text: "x", metadata: {}, origins: [] } }], "drop")
    yield* Transfer.merge(store, merged, { ifDifferent: "append" })
    const texts = (yield* merged.getMany(key, 0, 9)).map(({ text }) => text)
    assert.sameMembers(texts, ["x", ...expected])
  }))
