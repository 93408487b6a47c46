import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, MemoryStore, Persistent, Repeatable, SampleStore } from "@llm-cache/core"
import * as Audit from "@llm-cache/core/Audit"
import { Config, Context, Effect, Exit, Fiber, Layer, References, Schema, type Scope, Stream } from "effect"
import * as Path from "node:path"
import { makeDirectory, readTree, samplesIn } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import {
  agree,
  allDifferent,
  build as buildStack,
  Combinator,
  count,
  directoryStore,
  Stack,
  take,
  Takes,
  watchedIndependent,
  ways
} from "./support/stack.ts"

const runs = { arbitrary: { runs: Number(process.env["LLM_CACHE_LAW_RUNS"] ?? 8) } }

/** A store that yields before and behind everything it does, and shows the samples of a request one by one. */
const slowStore = Effect.map(Effect.provide(SampleStore.SampleStore, MemoryStore.layer), (store) => {
  let samples = 0
  const slowly = <A, E>(self: Effect.Effect<A, E>) =>
    Effect.yieldNow.pipe(Effect.andThen(self), Effect.tap(Effect.yieldNow))
  const model = SampleStore.make({
    ...store,
    getMany: (key, from, count) => slowly(store.getMany(key, from, count)),
    positions: (key) => slowly(store.positions(key)),
    prepare: (key) => slowly(store.prepare(key)),
    put: (key, entries, ifTaken) =>
      Effect.map(
        Effect.forEach(entries, (entry) => {
          samples++
          return slowly(store.put(key, [entry], ifTaken))
        }),
        (positions) => positions.flat()
      )
  })
  return { model, stored: () => samples }
})

const concurrently = { concurrency: "unbounded" } as const

describe.each(ways)("%s", (_, isWatched) => {
  const build = (stack: ReadonlyArray<Combinator>, source: LlmModel.Model, root: string) =>
    buildStack(stack, source, root, isWatched)

  describe("law 1, repeatable: any two runs of one key agree on their common prefix", () => {
    it.effect.prop(
      "in one program, across fibers, and where requests fail in between",
      {
        top: Schema.Literals(["Repeatable", "Persistent"]),
        beneath: Stack,
        takes: Takes,
        failures: count(0, 3),
        maxBatch: count(1, 4)
      },
      ({ beneath, failures, maxBatch, takes, top }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider({ maxBatch })
          const [model] = yield* build([top, ...beneath], provider.model, yield* makeDirectory)
          provider.failures = failures
          const parallel = yield* Effect.forEach(takes, (one) => Effect.exit(take(model!, one)), concurrently)
          provider.failures = 0
          const sequential = yield* Effect.forEach(takes, (one) => take(model!, one))
          const results = [
            ...takes.map(({ prompt }, i) => ({ prompt, texts: sequential[i]! })),
            ...takes.flatMap(({ prompt }, i) => {
              const exit = parallel[i]!
              return Exit.isSuccess(exit) ? [{ prompt, texts: exit.value }] : []
            })
          ]
          for (const a of results) {
            for (const b of results) {
              if (a.prompt === b.prompt) assert.isTrue(agree(a.texts, b.texts), `${a.texts} / ${b.texts}`)
            }
          }
        }).pipe(Effect.scoped),
      runs
    )

    it.effect.prop(
      "across programs that share a store",
      { beneath: Stack, takes: Takes, again: Takes },
      ({ again, beneath, takes }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const root = yield* makeDirectory
          const program = (all: typeof takes) =>
            Effect.scoped(Effect.flatMap(build(["Persistent", ...beneath], provider.model, root), ([model]) =>
              Effect.forEach(all, (one) =>
                Effect.map(take(model!, one), (texts) => ({ prompt: one.prompt, texts })))))
          const results = [...yield* program(takes), ...yield* program(again), ...yield* program(takes)]
          for (const a of results) {
            for (const b of results) {
              if (a.prompt === b.prompt) {
                assert.isTrue(agree(a.texts, b.texts), `${a.texts} / ${b.texts}`)
              }
            }
          }
        }).pipe(Effect.scoped),
      runs
    )

    it.effect.prop(
      "across two processes that record into one directory at the same time",
      {
        n: count(1, 6),
        batches: Schema.Tuple([count(1, 4), count(1, 4)]),
        beneath: Schema.Array(Schema.Literals(["Independent"])).check(Schema.isMaxLength(1))
      },
      ({ batches, beneath, n }) =>
        Effect.gen(function*() {
          const root = yield* makeDirectory
          const provider = yield* makeProvider()
          // A second store on the same directory behaves like another process.
          const models = yield* Effect.forEach(batches, () => build(["Persistent", ...beneath], provider.model, root))
          const [a, b] = yield* Effect.forEach(models, ([model], i) =>
            take(model!, { prompt: "a", n, batch: batches[i]! }), concurrently)
          assert.deepStrictEqual(a, b)
          // and a sample that lost the race for its position is kept at another one
          const samples = Object.values(samplesIn(root))
          assert.isTrue(allDifferent(samples))
          if (beneath.length === 0 || Math.max(...batches) === 1) {
            assert.sameMembers(samples, provider.given)
          }
        }).pipe(Effect.scoped),
      runs
    )
  })

  describe("law 2, independent within a run: no draw is handed out twice", () => {
    it.effect.prop(
      "the elements of a run are different draws, whatever is beneath",
      { stack: Stack, n: count(1, 12), batch: count(1, 5), maxBatch: count(1, 4) },
      ({ batch, maxBatch, n, stack }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider({ maxBatch })
          const [model] = yield* build(stack, provider.model, yield* makeDirectory)
          assert.isTrue(allDifferent(yield* take(model!, { prompt: "a", n, batch })))
        }).pipe(Effect.scoped),
      runs
    )

    it.effect.prop(
      "a store goes on behind the draws it recorded, also after a restart",
      { above: Stack, beneath: Stack, restarts: Schema.Array(Takes).check(Schema.isMaxLength(4)) },
      ({ above, beneath, restarts }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const root = yield* makeDirectory
          const stack = [...above, "Persistent" as const, "Independent" as const, ...beneath, "Persistent" as const]
          for (const takes of restarts) {
            yield* Effect.scoped(Effect.flatMap(build(stack, provider.model, root), ([model]) =>
              Effect.forEach(takes, (one) =>
                take(model!, one))))
          }
          // every directory holds each sample of a prompt at most once
          for (const height of stack.keys()) {
            const samples = Object.entries(readTree(root)).filter(([path]) =>
              path.startsWith(`${height}${Path.sep}`) && path.endsWith(".md")
            )
            assert.isTrue(
              allDifferent(samples.map(([, text]) =>
                text
              )),
              JSON.stringify(samples)
            )
          }
        }).pipe(Effect.scoped),
      runs
    )
  })

  it.effect("law 2: a store goes on behind the draws that another process recorded meanwhile", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const root = yield* makeDirectory
      const stack = ["Persistent", "Independent", "Persistent"] as const
      const [[one], [other]] = [yield* build(stack, provider.model, root), yield* build(stack, provider.model, root)]
      yield* take(one!, { prompt: "a", n: 1, batch: 1 })
      const longer = yield* take(other!, { prompt: "a", n: 3, batch: 1 })
      assert.deepStrictEqual(yield* take(one!, { prompt: "a", n: 4, batch: 1 }), [...longer, "a #3"])
    }))

  it.effect("law 2: draws beside a store, and of a second store, go on behind what it has recorded", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const storeAt = (name: string) => directoryStore(Path.join(root, name))
      const run = (
        draws: (models: {
          readonly independent: LlmModel.Model
          readonly one: LlmModel.Model
          readonly other: LlmModel.Model
        }) => ReadonlyArray<LlmModel.Model>
      ) =>
        Effect.gen(function*() {
          const independent = yield* Independent.make(yield* Persistent.make(provider.model, yield* storeAt("big")))
          const one = yield* Repeatable.make(yield* Persistent.make(independent, yield* storeAt("one")))
          const other = yield* Persistent.make(independent, yield* storeAt("other"))
          return yield* Effect.forEach(
            draws({ independent, one, other }),
            (model) => LlmModel.sampleOne("a").pipe(using(model))
          )
        }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* run(({ one, other }) => [one, other]), ["a #0", "a #1"])
      // In the next run they are drawn from in another order.
      assert.deepStrictEqual(
        yield* run(({ independent, one, other }) => [independent, independent, other, one]),
        ["a #2", "a #3", "a #1", "a #0"]
      )
      assert.deepStrictEqual(yield* run(({ independent, other }) => [other, independent]), ["a #1", "a #2"])
    }))

  describe("law 3, independent across runs: all draws of all runs are different positions", () => {
    it.effect.prop(
      "also when they are drawn at once, in batches, and when some fail",
      { beneath: Stack, takes: Takes, failures: count(0, 3), maxBatch: count(1, 4) },
      ({ beneath, failures, maxBatch, takes }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider({ maxBatch })
          const [model] = yield* build(["Independent", ...beneath], provider.model, yield* makeDirectory)
          provider.failures = failures
          const parallel = yield* Effect.forEach(takes, (one) => Effect.exit(take(model!, one)), concurrently)
          provider.failures = 0
          const sequential = yield* Effect.forEach(takes, (one) => take(model!, one))
          assert.isTrue(
            allDifferent([...sequential.flat(), ...parallel.flatMap((exit) => Exit.isSuccess(exit) ? exit.value : [])])
          )
        }).pipe(Effect.scoped),
      runs
    )
  })

  // A fiber that has run for long gives way to others, at any point.
  it.effect.each([6, 9, 14, 18, 25, 40])(
    "law 3, where fibers give way after %d operations",
    (operations) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const drawn = yield* Effect.replicateEffect(
          Effect.replicateEffect(LlmModel.sampleOne("a"), 20),
          5,
          concurrently
        ).pipe(
          Effect.provide(watchedIndependent),
          using(provider.model),
          Effect.provideService(References.MaxOpsBeforeYield, operations)
        )
        assert.strictEqual(new Set(drawn.flat()).size, 100)
        assert.strictEqual(provider.requests.length, 100)
      })
  )

  describe("law 4, algebra", () => {
    it.effect.prop(
      "a combinator twice is the combinator once",
      { combinator: Combinator, beneath: Stack, takes: Takes, maxBatch: count(1, 4) },
      ({ beneath, combinator, maxBatch, takes }) =>
        Effect.gen(function*() {
          const program = (stack: ReadonlyArray<Combinator>) =>
            Effect.gen(function*() {
              const provider = yield* makeProvider({ maxBatch })
              const [model] = yield* build(stack, provider.model, yield* makeDirectory)
              return { values: yield* Effect.forEach(takes, (one) => take(model!, one)), requests: provider.requests }
            })
          assert.deepStrictEqual(
            yield* program([combinator, combinator, ...beneath]),
            yield* program([combinator, ...beneath])
          )
        }).pipe(Effect.scoped),
      runs
    )

    const three = Effect.gen(function*() {
      const first = yield* LlmModel.sampleOne("a")
      const again = yield* LlmModel.sampleOne("a")
      return [first, again]
    })

    it.effect("Repeatable, Independent and Repeatable, provided as layers one in another, stay three", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const attempt = Effect.provide(three, Repeatable.layer)
        const [outer, attempts] = yield* Effect.gen(function*() {
          const outer = yield* LlmModel.sampleOne("a")
          const attempts = yield* Effect.all([attempt, attempt, attempt]).pipe(Effect.provide(watchedIndependent))
          return [outer, attempts] as const
        }).pipe(Effect.provide(Repeatable.layer), Effect.provide(provider.layer))
        assert.strictEqual(outer, "a #0")
        assert.deepStrictEqual(attempts, [["a #0", "a #0"], ["a #1", "a #1"], ["a #2", "a #2"]])
      }))

    it.effect("the same as one composed layer", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const model = Repeatable.layer.pipe(Layer.provide(watchedIndependent), Layer.provide(Repeatable.layer))
        const both = Effect.all([Effect.provide(three, model), Effect.provide(three, model)])
        // Two nestings of their own draw the same, each repeats itself.
        assert.deepStrictEqual(yield* Effect.provide(both, Layer.provideMerge(Repeatable.layer, provider.layer)), [
          ["a #0", "a #0"],
          ["a #0", "a #0"]
        ])
      }))

    it.effect("attempts that run in parallel each get their own Repeatable", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const attempts = yield* Effect.all(
          Array.from({ length: 5 }, () => Effect.provide(three, Repeatable.layer)),
          concurrently
        )
          .pipe(Effect.provide(watchedIndependent), Effect.provide(Repeatable.layer), Effect.provide(provider.layer))
        for (const [first, again] of attempts) assert.strictEqual(first, again)
        assert.isTrue(allDifferent(attempts.map(([first]) => first!)))
      }))

    it.effect("Independent, Repeatable and Independent stay three too", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const inner = Effect.provide(three, watchedIndependent)
        const draws = yield* Effect.all([
          LlmModel.sampleOne("a"),
          Effect.provide(Effect.all([inner, three]), Repeatable.layer)
        ])
          .pipe(Effect.provide(watchedIndependent), Effect.provide(Repeatable.layer), Effect.provide(provider.layer))
        // The inner reader reads the inner memory, from its first position on.
        assert.deepStrictEqual(draws, ["a #0", [["a #1", "a #2"], ["a #1", "a #1"]]])
      }))

    class One extends Context.Service<One, LlmModel.Model>()("One") {}
    class Two extends Context.Service<Two, LlmModel.Model>()("Two") {}

    it.effect.each([
      ["Independent", () => Effect.succeed(Independent.layer)],
      ["Repeatable", () => Effect.succeed(Repeatable.layer)],
      ["Persistent", () => Effect.map(makeDirectory, (directory) => Persistent.layer({ directory }))],
      [
        "Persistent, as configured",
        () => Effect.map(makeDirectory, (directory) => Persistent.layerConfig({ directory: Config.succeed(directory) }))
      ],
      ["Persistent, over a store", () => Effect.succeed(Persistent.layer())]
    ])("%s, provided to two models in one layer, is a layer of its own for each", ([, make]) =>
      Effect.gen(function*() {
        const over = yield* (make as () => Effect.Effect<typeof Repeatable.layer, never, Scope.Scope>)()
        const [one, two] = [yield* makeProvider({ model: "one" }), yield* makeProvider({ model: "two" })]
        const both = Layer.mergeAll(
          Layer.effect(One, LlmModel.LlmModel).pipe(Layer.provide(over), Layer.provide(one.layer)),
          Layer.effect(Two, LlmModel.LlmModel).pipe(Layer.provide(over), Layer.provide(two.layer))
        )
        const names = Effect.all([One, Two]).pipe(Effect.map((models) => models.map(({ identity }) => identity.name)))
        assert.deepStrictEqual(yield* Effect.provide(names, Layer.provide(both, MemoryStore.layer)), ["one", "two"])
      }))

    it.effect("a layer composed before it has a model is shared by reference, as any layer, unless it is fresh", () =>
      Effect.gen(function*() {
        const [one, two] = [yield* makeProvider({ model: "one" }), yield* makeProvider({ model: "two" })]
        const names = (over: Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel>) =>
          Effect.all([One, Two]).pipe(
            Effect.map((models) => models.map(({ identity }) => identity.name)),
            Effect.provide(Layer.mergeAll(
              Layer.effect(One, LlmModel.LlmModel).pipe(Layer.provide(over), Layer.provide(one.layer)),
              Layer.effect(Two, LlmModel.LlmModel).pipe(Layer.provide(over), Layer.provide(two.layer))
            ))
          )
        const composed = Layer.provide(Independent.layer, Repeatable.layer)
        assert.deepStrictEqual(yield* names(composed), ["one", "one"])
        assert.deepStrictEqual(yield* names(Layer.fresh(composed)), ["one", "two"])
      }))

    it.effect("a composed layer is shared by those it is provided to together", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const cached = Layer.provide(Repeatable.layer, provider.layer)
        const program = Effect.all([three, three])
        assert.deepStrictEqual(yield* Effect.provide(program, cached), [["a #0", "a #0"], ["a #0", "a #0"]])
      }))
  })

  describe("law 5, demand: a consumer of n samples makes every caching model beneath hand out exactly n", () => {
    it.effect.prop(
      "and a provider sell exactly n, zero included",
      { stack: Stack, n: count(0, 8) },
      ({ n, stack }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const root = yield* makeDirectory
          const audit = yield* Audit.make
          let model = audit.watch(provider.model, "provider")
          for (const [height, combinator] of stack.toReversed().entries()) {
            const [above] = yield* build([combinator], model, Path.join(root, String(height)))
            model = audit.watch(above!, String(height))
          }
          const texts = yield* LlmModel.sample("a").pipe(Stream.take(n), Stream.runCollect, using(model))
          assert.strictEqual(texts.length, n)
          const counts = (yield* audit.report).map(({ distinct, handedOut }) => [handedOut, distinct])
          assert.deepStrictEqual(counts, n === 0 ? [] : ["provider", ...stack].map(() => [n, n]))
          assert.strictEqual(provider.requests.length, n)
        }).pipe(Effect.scoped),
      runs
    )

    it.effect.prop(
      "the consumer's own slow use of the stream draws nothing ahead",
      { top: Combinator, n: count(1, 5) },
      ({ n, top }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const [model] = yield* build([top], provider.model, yield* makeDirectory)
          const sold: Array<number> = []
          yield* LlmModel.sample("a").pipe(
            Stream.take(n),
            Stream.runForEach(() => Effect.sync(() => sold.push(provider.requests.length))),
            using(model!)
          )
          assert.deepStrictEqual(sold, Array.from({ length: n }, (_, i) => i + 1))
        }).pipe(Effect.scoped),
      runs
    )
  })

  describe("law 6, single flight", () => {
    it.effect.prop(
      "many who ask for one position at once cause one request and get its result",
      { top: Schema.Literals(["Repeatable", "Persistent"]), fibers: count(2, 50) },
      ({ fibers, top }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const [model] = yield* build([top], provider.model, yield* makeDirectory)
          const texts = yield* Effect.forEach(
            Array.from({ length: fibers }),
            () => LlmModel.sampleOne("a"),
            concurrently
          )
            .pipe(using(model!))
          assert.deepStrictEqual(texts, texts.map(() => "a #0"))
          assert.deepStrictEqual(provider.requests, [1])
        }).pipe(Effect.scoped),
      runs
    )

    it.effect.prop(
      "also over a store that takes its time, and no sample is seen before its whole request is stored",
      { fibers: count(2, 10), batch: count(1, 4) },
      ({ batch, fibers }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const { model: store, stored } = yield* slowStore
          const model = yield* Persistent.make(provider.model, store)
          // some ask at once, some while the request is under way or being stored, some later
          const texts = yield* Effect.forEach(Array.from({ length: fibers }, (_, i) => i), (i) =>
            Effect.replicateEffect(Effect.yieldNow, 3 * Math.floor(i / 2), { discard: true }).pipe(
              Effect.andThen(
                LlmModel.sample("a", { batch }).pipe(
                  Stream.take(batch),
                  Stream.tap(() =>
                    Effect.sync(() => assert.strictEqual(stored(), batch))
                  ),
                  Stream.runCollect,
                  using(model)
                )
              )
            ), concurrently)
          for (const some of texts) {
            assert.deepStrictEqual(some, texts[0])
          }
          assert.deepStrictEqual(provider.requests, [batch])
        }).pipe(Effect.scoped),
      runs
    )

    it.effect("different positions and different prompts are requested at the same time", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const [model] = yield* build(["Independent", "Persistent"], provider.model, yield* makeDirectory)
        yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => i % 2 ? "a" : "b"), (prompt) =>
          LlmModel.sampleOne(prompt), concurrently)
          .pipe(using(model!))
        assert.strictEqual(provider.requests.length, 20)
        assert.strictEqual(provider.mostUnderWay, 20)
      }).pipe(Effect.scoped))

    it.effect("draws that wait for the other samples of a batch send no request of their own", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider({ maxBatch: 10 })
        const [model] = yield* build(["Independent", "Persistent"], provider.model, yield* makeDirectory)
        const texts = yield* Effect.forEach(
          Array.from({ length: 40 }),
          () => Stream.runHead(LlmModel.sample("a", { batch: 20 })),
          concurrently
        )
          .pipe(using(model!))
        assert.strictEqual(new Set(texts.map(String)).size, 40)
        assert.deepStrictEqual(provider.requests, [10, 10, 10, 10])
      }).pipe(Effect.scoped))
  })

  describe("law 7, slices: slice[i] = big[i]", () => {
    it.effect.prop(
      "after any number of runs, failures and restarts, and the slice holds exactly what was taken",
      {
        between: Schema.Array(Schema.Literals(["Repeatable", "Persistent"])).check(Schema.isMaxLength(2)),
        prefill: Takes,
        restarts: Schema.Array(Schema.Struct({ takes: Takes, failures: count(0, 2) })).check(Schema.isMaxLength(4)),
        maxBatch: count(1, 4)
      },
      ({ between, maxBatch, prefill, restarts }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider({ maxBatch })
          const root = yield* makeDirectory
          yield* Effect.scoped(Effect.flatMap(build(["Persistent"], provider.model, root), ([model]) =>
            Effect.forEach(prefill, (one) =>
              take(model!, one))))
          const longest = { a: 0, b: 0 }
          for (const { failures, takes } of restarts) {
            provider.failures = failures
            yield* Effect.scoped(
              Effect.flatMap(build(["Persistent", ...between, "Persistent"], provider.model, root), ([model]) =>
                Effect.forEach(takes, (one) =>
                  take(model!, one).pipe(
                    Effect.tap(() =>
                      Effect.sync(() =>
                        longest[one.prompt] = Math.max(longest[one.prompt], one.n)
                      )
                    ),
                    // a program that died of a failure, with the samples it took
                    Effect.catch(() => Effect.sync(() => provider.failures = 0))
                  )))
            )
            provider.failures = 0
          }
          const big = readTree(Path.join(root, "0"))
          const slice = readTree(Path.join(root, String(between.length + 1)))
          for (const [path, text] of Object.entries(slice)) {
            if (path.endsWith(".md")) assert.strictEqual(text, big[path], path)
          }
          assert.isAtLeast(Object.keys(slice).filter((path) => path.endsWith(".md")).length, longest.a + longest.b)
          if (restarts.every(({ failures }) => failures === 0)) {
            assert.strictEqual(Object.keys(slice).filter((path) => path.endsWith(".md")).length, longest.a + longest.b)
          }
        }).pipe(Effect.scoped),
      runs
    )
  })

  describe("law 8, no requested sample is lost", () => {
    it.effect.prop(
      "every sample of a request is stored before the first of them is handed out",
      { batch: count(1, 12), maxBatch: count(1, 6), less: count(0, 2), more: count(0, 3) },
      ({ batch, less, maxBatch, more }) =>
        Effect.gen(function*() {
          const root = yield* makeDirectory
          const provider = yield* makeProvider({ maxBatch, brings: (n) => Math.max(1, n - less) + more })
          const [model] = yield* build(["Persistent"], provider.model, root)
          yield* LlmModel.sample("a", { batch }).pipe(
            Stream.take(2 * batch),
            Stream.runForEach(() =>
              Effect.sync(() => assert.sameMembers(Object.values(samplesIn(root)), provider.given))
            ),
            using(model!)
          )
          assert.sameMembers(Object.values(samplesIn(root)), provider.given)
        }).pipe(Effect.scoped),
      runs
    )

    it.effect("a request goes on when the only one who waits for it is interrupted, and its samples are stored", () =>
      Effect.gen(function*() {
        const root = yield* makeDirectory
        const provider = yield* makeProvider()
        const gate = yield* makeGate
        provider.gate = gate.wait
        const [model] = yield* build(["Persistent"], provider.model, root)
        const waiting = yield* Effect.forkChild(LlmModel.sampleMany("a", 3).pipe(using(model!)), {
          startImmediately: true
        })
        yield* Fiber.interrupt(waiting)
        yield* gate.open
        assert.deepStrictEqual(yield* LlmModel.sampleMany("a", 3).pipe(using(model!)), ["a #0", "a #1", "a #2"])
        assert.deepStrictEqual(provider.requests, [3])
        assert.strictEqual(Object.keys(samplesIn(root)).length, 3)
      }).pipe(Effect.scoped))
  })

  describe("law 9, failure", () => {
    it.effect.prop(
      "a failed draw uses up no position",
      { beneath: Stack, failures: count(1, 4), n: count(1, 5) },
      ({ beneath, failures, n }) =>
        Effect.gen(function*() {
          const drawAll = (failures: number) =>
            Effect.gen(function*() {
              const provider = yield* makeProvider()
              const [model] = yield* build(["Independent", ...beneath], provider.model, yield* makeDirectory)
              provider.failures = failures
              const draws = Effect.forEach(Array.from({ length: n }), () => Effect.eventually(LlmModel.sampleOne("a")))
              return yield* draws.pipe(using(model!))
            })
          assert.deepStrictEqual(yield* drawAll(failures), yield* drawAll(0))
        }).pipe(Effect.scoped),
      runs
    )

    it.effect.prop(
      "an interrupted draw is handed out at most once, and its requested sample is handed out",
      { beneath: Stack, fibers: count(1, 8), interrupted: count(0, 8) },
      ({ beneath, fibers, interrupted }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const gate = yield* makeGate
          provider.gate = gate.wait
          const [model] = yield* build(["Independent", ...beneath], provider.model, yield* makeDirectory)
          const waiting = yield* Effect.forEach(
            Array.from({ length: fibers }),
            () => Effect.forkChild(LlmModel.sampleOne("a").pipe(using(model!)), { startImmediately: true })
          )
          yield* Fiber.interruptAll(waiting.slice(0, interrupted))
          yield* gate.open
          const rest = yield* Effect.forEach(waiting.slice(interrupted), Fiber.join)
          const more = yield* LlmModel.sampleMany("a", fibers + 2).pipe(using(model!))
          assert.isTrue(allDifferent([...rest, ...more]))
          // every paid sample is handed out
          assert.includeMembers([...rest, ...more], provider.given)
        }).pipe(Effect.scoped),
      runs
    )

    it.effect("the interruption of one who waits neither fails the others nor sends another request", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const gate = yield* makeGate
        provider.gate = gate.wait
        const model = yield* Repeatable.make(provider.model)
        const waiting = yield* Effect.forEach(
          Array.from({ length: 3 }),
          () => Effect.forkChild(LlmModel.sampleOne("a").pipe(using(model)), { startImmediately: true })
        )
        yield* Fiber.interrupt(waiting[0]!)
        yield* gate.open
        assert.deepStrictEqual(yield* Effect.forEach(waiting.slice(1), Fiber.join), ["a #0", "a #0"])
        assert.deepStrictEqual(provider.requests, [1])
      }).pipe(Effect.scoped))

    it.effect("a failed request fails all who wait for it, and the next draw asks again", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        provider.failures = 1
        const model = yield* Repeatable.make(provider.model)
        const exits = yield* Effect.forEach([1, 2, 3], () => Effect.exit(LlmModel.sampleOne("a")), concurrently).pipe(
          using(model)
        )
        assert.isTrue(exits.every(Exit.isFailure))
        assert.deepStrictEqual(provider.requests, [1])
        assert.strictEqual(yield* LlmModel.sampleOne("a").pipe(using(model)), "a #0")
      }).pipe(Effect.scoped))

    it.effect("closing the scope of a model ends its requests, and a later draw says so", () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        provider.gate = Effect.never
        const waiting = yield* Effect.scoped(Effect.gen(function*() {
          const model = yield* Repeatable.make(provider.model)
          const fiber = yield* Effect.forkDetach(LlmModel.sampleOne("a").pipe(using(model)), { startImmediately: true })
          return { fiber, model }
        }))
        assert.isTrue(Exit.hasDies(yield* Fiber.await(waiting.fiber)))
        assert.strictEqual(provider.underWay, 0)
        const exit = yield* Effect.exit(LlmModel.sampleOne("a").pipe(using(waiting.model)))
        assert.isTrue(Exit.hasDies(exit))
      }))
  })

  describe("law 10, replay", () => {
    it.effect.prop(
      "the same program over the same stores gives the same values and sends nothing, wherever in a stack it draws",
      {
        above: Stack,
        beneath: Schema.Array(Schema.Literals(["Independent", "Repeatable"])).check(Schema.isMaxLength(2)),
        takes: Takes,
        maxBatch: count(1, 4)
      },
      ({ above, beneath, maxBatch, takes }) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider({ maxBatch })
          const root = yield* makeDirectory
          const program = Effect.scoped(
            Effect.flatMap(build([...above, "Persistent", ...beneath], provider.model, root), (models) =>
              Effect.forEach(takes, (one) => take(models[one.level % (above.length + 1)]!, one)))
          )
          const recorded = yield* program
          const sent = provider.requests.length
          assert.deepStrictEqual(yield* program, recorded)
          assert.deepStrictEqual(yield* program, recorded)
          assert.strictEqual(provider.requests.length, sent)
        }).pipe(Effect.scoped),
      runs
    )
  })
})
