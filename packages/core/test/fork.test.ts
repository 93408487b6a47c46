import { assert, describe, it } from "@effect/vitest"
import { Attempt, Fork, LlmModel, Persistent, Repeatable, SampleError } from "@llm-cache/core"
import { Context, Data, Effect, Fiber, Layer, Option, pipe, Random, Schedule, Schema, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory, readTree } from "./support/directory.ts"
import { makeProvider, using } from "./support/provider.ts"
import { allDifferent, build, count, Stack, take, Takes, watchedIndependent } from "./support/stack.ts"

const runs = { arbitrary: { runs: Number(process.env["LLM_CACHE_LAW_RUNS"] ?? 15) } }

const two = Effect.all([LlmModel.sampleOne("a"), LlmModel.sampleOne("a")])

/** Yields to other fibers, a random number of times. */
const shuffled = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Random.nextIntBetween(0, 6),
    (times) => Effect.andThen(Effect.replicateEffect(Effect.yieldNow, times, { discard: true }), self)
  )

describe("Fork.fork", () => {
  it.effect("has its own sequences, the same each time", () =>
    Effect.gen(function*() {
      for (const stack of [["Repeatable"], ["Persistent"], ["Repeatable", "Independent", "Persistent"]] as const) {
        const provider = yield* makeProvider()
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        const program = Effect.all([
          two,
          Fork.fork(two, "x"),
          two.pipe(Fork.fork("y")),
          two.pipe(Fork.fork("y"), Fork.fork("x")),
          Fork.fork(two, "x/y"),
          Fork.fork(two, "x")
        ])
        const texts = yield* program.pipe(using(model!))
        assert.deepStrictEqual(texts.map(([text]) => text), ["a #0", "a #1", "a #2", "a #3", "a #4", "a #1"])
        for (const [first, second] of texts) assert.strictEqual(first, second)
      }
    }).pipe(Effect.scoped))

  it.effect("has its own independent reader, which continues the next time", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const [model] = yield* build(["Independent", "Persistent"], provider.model, yield* makeDirectory)
      const texts = yield* Effect.all([Fork.fork(two, "x"), two, Fork.fork(two, "x")]).pipe(using(model!))
      assert.deepStrictEqual(texts, [["a #0", "a #1"], ["a #2", "a #3"], ["a #4", "a #5"]])
      assert.strictEqual(provider.requests.length, 6)
    }).pipe(Effect.scoped))

  it.effect("applies to the sampling fiber and to its child fibers", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Fork.path, [])
      const seen = yield* Effect.gen(function*() {
        const child = yield* Effect.forkChild(Fork.fork(Fork.path, "inner"))
        return [yield* Fork.path, yield* Fiber.join(child)]
      }).pipe(Fork.fork("outer"))
      assert.deepStrictEqual(seen, [["outer"], ["outer", "inner"]])
      // A stream samples when it runs.
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const first = Stream.runHead(LlmModel.sample("a"))
      const inside = yield* Fork.fork(first, "x").pipe(using(model))
      assert.notDeepEqual(inside, yield* first.pipe(using(model)))
      assert.deepStrictEqual(inside, yield* Fork.fork(Stream.runHead(model.sample("a")), "x"))
    }).pipe(Effect.scoped))

  it.effect("has its own folder on disk, also in slices, and replicates", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const program = Effect.scoped(
        Effect.flatMap(build(["Persistent", "Persistent"], provider.model, root), ([model]) =>
          Effect.all([two, Fork.fork(two, "trial 7"), two.pipe(Fork.fork("b"), Fork.fork("a"))]).pipe(using(model!)))
      )
      const texts = yield* program
      assert.deepStrictEqual(yield* program, texts)
      for (const height of ["0", "1"]) {
        const files = Object.keys(readTree(Path.join(root, height))).filter((path) =>
          path.endsWith(".md")
        )
        const tails = files.map((path) => path.split(Path.sep).slice(2).join("/"))
        assert.sameMembers(tails, ["0.md", "forks/trial%207/0.md", "forks/a/forks/b/0.md"])
      }
      const replicated = Effect.all([two, Fork.fork(two, "trial 7")]).pipe(
        Effect.provide(Persistent.layerReplication({ directory: Path.join(root, "1"), model: "mock", temperature: 1 }))
      )
      assert.deepStrictEqual(yield* replicated, texts.slice(0, 2))
    }))

  it.effect("appears in a ReplicationCacheMiss and in the span of a request", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const inFork = two.pipe(Fork.fork("b"), Fork.fork("a"))
      yield* inFork.pipe(
        Effect.provide(Persistent.layer({ directory })),
        Effect.provide(provider.layer),
        Effect.withTracer(tracer)
      )
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes.get("llm_cache.fork")), [["a", "b"]])
      for (const [name, says] of [["c", "not for this fork"], ["a", "not for this fork"]] as const) {
        const error = yield* Fork.fork(two, name).pipe(
          Effect.provide(Persistent.layerReplication({ directory, model: "mock", temperature: 1 })),
          Effect.flip
        )
        assert.instanceOf(error, SampleError.ReplicationCacheMiss)
        assert.deepStrictEqual(error.path, [name])
        assert.include(error.message, says)
        assert.include(error.message, `fork ${name}`)
      }
    }))

  it.effect("appears in the errors of its provider and its store", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      provider.failures = 1
      const root = yield* makeDirectory
      const [model] = yield* build(["Persistent"], provider.model, root)
      const error = yield* two.pipe(Fork.fork("b"), Fork.fork("a"), using(model!), Effect.flip)
      assert.deepInclude(error, { _tag: "ProviderError", path: ["a", "b"] })
      assert.include(error.message, "fork a > b")
      yield* two.pipe(Fork.fork("b"), Fork.fork("a"), using(model!))
      const forks = Fs.readdirSync(root, { recursive: true, encoding: "utf8" }).find((path) => path.endsWith("a/forks"))
      Fs.writeFileSync(Path.join(root, forks!, "c"), "in the way")
      const inTheWay = yield* two.pipe(Fork.fork("c"), Fork.fork("a"), using(model!), Effect.flip)
      assert.include(inTheWay.message, "fork a > c")
    }).pipe(Effect.scoped))

  it.effect.each(["", "\uD800"])(
    "with an invalid name (%j) fails before any request",
    (name) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const [model] = yield* build(["Persistent"], provider.model, yield* makeDirectory)
        const error = yield* Effect.flip(Fork.fork(two, name).pipe(using(model!)))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.deepStrictEqual(provider.requests, [])
      }).pipe(Effect.scoped)
  )
})

describe("Fork.stream", () => {
  it.effect("draws in a fork inside the fork of its run, and lets its consumer draw outside", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const [model] = yield* build(["Repeatable"], provider.model, yield* makeDirectory)
      const drawn = LlmModel.sample("a").pipe(Stream.zip(Stream.fromEffectRepeat(Fork.path)), Stream.take(2))
      for (const stream of [Fork.stream(drawn, "x"), drawn.pipe(Fork.stream("x"))]) {
        const seen = yield* stream.pipe(
          Stream.mapEffect(([text, path]) => Effect.map(Fork.path, (outside) => [text, path, outside])),
          Stream.runCollect,
          Fork.fork("outer"),
          using(model!)
        )
        const texts = yield* LlmModel.sampleMany("a", 2).pipe(Fork.fork("x"), Fork.fork("outer"), using(model!))
        assert.deepStrictEqual(seen, texts.map((text) => [text, ["outer", "x"], ["outer"]]))
      }
      assert.strictEqual(provider.requests.length, 2)
    }).pipe(Effect.scoped))
})

describe("Fork.forEach", () => {
  it.effect("names forks by index and keeps the order of the items", () =>
    Effect.gen(function*() {
      const paths = yield* Fork.forEach(
        ["x", "y", "z"],
        (item, index) => shuffled(Effect.map(Fork.path, (path) => `${item}${index}${path.join()}`)),
        { concurrency: "unbounded" }
      ).pipe(Fork.fork("outer"))
      assert.deepStrictEqual(paths, ["x0outer,0", "y1outer,1", "z2outer,2"])
    }))

  it.effect("takes fork names, discards results, and works data-last", () =>
    Effect.gen(function*() {
      const named = { name: (item: string, index: number) => `${item} at ${index}` }
      const paths = [["x at 0"], ["y at 1"]]
      assert.deepStrictEqual(yield* Fork.forEach(["x", "y"], () => Fork.path, named), paths)
      assert.deepStrictEqual(yield* pipe(["x", "y"], Fork.forEach(() => Fork.path, named)), paths)
      assert.deepStrictEqual(yield* pipe(["x", "y"], Fork.forEach(() => Fork.path)), [["0"], ["1"]])
      assert.isUndefined(yield* Fork.forEach(["x"], () => Fork.path, { discard: true }))
    }))

  it.effect("runs `concurrency` items at a time", () =>
    Effect.gen(function*() {
      for (const [concurrency, most] of [[undefined, 1], [2, 2], ["unbounded", 5]] as const) {
        let [now, highest] = [0, 0]
        yield* Fork.forEach([1, 2, 3, 4, 5], () =>
          Effect.gen(function*() {
            highest = Math.max(highest, ++now)
            yield* Effect.replicateEffect(Effect.yieldNow, 3, { discard: true })
            now--
          }), { concurrency })
        assert.strictEqual(highest, most)
      }
    }))
})

class Refused extends Data.TaggedError("Refused")<{ readonly answer: string }> {}

// Delays draws until they are interrupted.
const Held = Context.Reference<boolean>("test/Held", { defaultValue: () => false })

const holding = Layer.fresh(Layer.effect(
  LlmModel.LlmModel,
  Effect.map(LlmModel.LlmModel, (model) =>
    LlmModel.fromDraw({
      ...model,
      draw: (key, position, batch) =>
        Effect.flatMap(Held, (isHeld) =>
          isHeld ? Effect.andThen(model.draw(key, position, batch), Effect.never) : model.draw(key, position, batch))
    }))
))

describe("A parallel program over a cache", () => {
  const step = (prompt: string) => shuffled(LlmModel.sampleOne(prompt))
  const held = (prompt: string) => Effect.provideService(step(prompt), Held, true)
  const attempt = Effect.gen(function*() {
    const [first, again] = yield* Effect.all([step("plan"), step("plan")], { concurrency: 2 })
    assert.strictEqual(first, again)
    const answer = yield* step(`check ${first}`)
    if (Number(/#(\d+)$/.exec(answer)![1]) % 3 !== 0) return yield* new Refused({ answer })
    return answer
  }).pipe(Effect.provide(Repeatable.layer))
  const agent = attempt.pipe(
    Effect.retry({ schedule: Schedule.recurs(20), while: (error) => error._tag === "Refused" })
  )
  // A time limit ends the draw before its start or during it. The next draw gets the same sample.
  const late = Effect.gen(function*() {
    const limit = yield* Random.nextIntBetween(0, 6)
    assert.isTrue(Option.isNone(yield* Effect.timeoutOption(held("late"), limit)))
    return yield* step("late")
  }).pipe(Fork.fork("late"))
  // The same for losers of a race.
  const raced = Effect.gen(function*() {
    const first = yield* Effect.raceFirst(Fork.fork(step("raced"), "winner"), Fork.fork(held("raced"), "loser"))
    return [first, yield* Fork.fork(step("raced"), "loser")]
  })
  const attempts = Effect.gen(function*() {
    const only = Effect.flatMap(Fork.path, (path) => path.at(-1) === "1" ? step("attempt") : held("attempt"))
    const { index, value } = yield* Attempt.race(only, { n: 3, name: "attempts" })
    const after = Fork.forEach([0, 1, 2], () => step("attempt"), { concurrency: 2 })
    return [index, value, ...yield* Fork.fork(after, "attempts")]
  })
  const program = Fork.forEach(["a", "b", "c"], (name) =>
    Fork.forEach(
      [1, 2, 3],
      () => Effect.all([agent, shuffled(LlmModel.sampleMany(name, 3)), late, raced, attempts]),
      { concurrency: "unbounded" }
    ), { concurrency: "unbounded" }).pipe(Effect.provide(watchedIndependent), Effect.provide(holding))
  // Time goes on while the program runs.
  const ticking = Effect.forever(Effect.andThen(TestClock.adjust(1), Effect.yieldNow))

  const times = Number(process.env["LLM_CACHE_FORK_RUNS"] ?? 10)

  it.effect(
    `replays to the byte without requests under ${times} random schedules`,
    () =>
      Effect.gen(function*() {
        const directory = yield* makeDirectory
        const provider = yield* makeProvider({ maxBatch: 2 })
        provider.gate = shuffled(Effect.void)
        const seed = Math.floor(Math.random() * 1e9)
        const run = (i: number) =>
          program.pipe(
            Effect.raceFirst(ticking),
            Effect.provide(Persistent.layer({ directory })),
            using(provider.model),
            Random.withSeed(`${seed} ${i}`),
            Effect.map(JSON.stringify)
          )
        const recorded = yield* run(0)
        const sent = provider.requests.length
        assert.isAbove(sent, 60)
        for (let i = 1; i <= times; i++) assert.strictEqual(yield* run(i), recorded, `run ${i} of seed ${seed}`)
        assert.strictEqual(provider.requests.length, sent, `seed ${seed}`)
      }),
    30_000 + times * 100
  )

  it.effect.prop(
    "replays for forks at any level of a stack, in any order",
    {
      above: Stack,
      beneath: Schema.Array(Schema.Literals(["Independent", "Repeatable"])).check(Schema.isMaxLength(2)),
      forks: Schema.Array(Takes).check(Schema.isMaxLength(4)),
      level: count(0, 4),
      maxBatch: count(1, 4),
      seed: Schema.Int
    },
    ({ above, beneath, forks, level, maxBatch, seed }) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider({ maxBatch })
        provider.gate = shuffled(Effect.void)
        const root = yield* makeDirectory
        const program = Effect.scoped(
          Effect.flatMap(build([...above, "Persistent", ...beneath], provider.model, root), (models) =>
            Fork.forEach(forks, (takes) =>
              Effect.forEach(takes, (one) =>
                shuffled(take(models[level % (above.length + 1)]!, one))), {
              concurrency: "unbounded"
            }))
        )
        const recorded = yield* program
        const sent = provider.requests.length
        for (let i = 0; i < 3; i++) {
          assert.deepStrictEqual(yield* program, recorded)
        }
        assert.strictEqual(provider.requests.length, sent)
        // No two forks share a sample.
        const samples = recorded.map((takes) => [...new Set(takes.flat())]).flat()
        assert.isTrue(allDifferent(samples))
      }).pipe(Effect.scoped, Random.withSeed(seed)),
    runs
  )
})
