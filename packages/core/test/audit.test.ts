import { assert, describe, it } from "@effect/vitest"
import { Fork, Independent, IndependentModel, LlmModel, Persistent, Repeatable, RepeatableModel } from "@llm-cache/core"
import * as Audit from "@llm-cache/core/Audit"
import { Key } from "@llm-cache/core/Key"
import { Context, Effect, Fiber, Layer, References, Stream } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"

/** A report by watch, without the fields that are equal in all tests. */
const brief = (report: Audit.Report) =>
  report.map(({ distinct, fromCache, handedOut, handedOutTwice, path, prompt, watch }) => ({
    at: [watch, prompt, ...path].join(" "),
    counts: [handedOut, distinct, fromCache],
    twice: handedOutTwice
  }))

const briefReport = Effect.map(Audit.report, brief)
const briefReportOf = (name: string) =>
  Effect.map(Audit.report, (report) => brief(report.filter(({ watch }) => watch === name)))
const row = (at: string, counts: Array<number | undefined>, twice: Array<number> = []) => ({ at, counts, twice })

/** A model with the samples of this list, and one reader for all runs. */
const scripted = (
  sequence: LlmModel.Model["sequence"],
  drawn: ReadonlyArray<{ readonly text: string; readonly metadata: object; readonly origins: ReadonlyArray<number> }>
) =>
  Layer.effect(
    LlmModel.LlmModel,
    Effect.map(makeProvider(), ({ model }) => {
      let next = 0
      return LlmModel.fromDraw({
        ...model,
        sequence,
        requestSize: () => 1,
        draw: () => Effect.sync(() => [drawn[next++]!])
      })
    })
  )

const sampleAt = (...origins: Array<number>) => ({ text: "x", metadata: {}, origins })

describe("Audit", () => {
  it.effect("passes a correct stack, and counts its draws, positions and cached samples", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const stack = Independent.layer.pipe(
        Audit.watch("top"),
        Layer.provide(Audit.watch(Repeatable.layer, "memory")),
        Layer.provide(Audit.watch(provider.layer, "provider"))
      )
      yield* Effect.gen(function*() {
        yield* Audit.run(LlmModel.sampleMany("a", 3))
        yield* IndependentModel.sampleOne("b")
        yield* Stream.runDrain(Stream.take(LlmModel.sample("a", { batch: 4 }), 2))
        assert.deepStrictEqual(yield* briefReport, [
          row("provider a", [7, 7, 0]),
          row("provider b", [1, 1, 0]),
          row("memory a", [5, 5, 3]),
          row("memory b", [1, 1, 0]),
          row("top a", [5, 5, 3]),
          row("top b", [1, 1, 0])
        ])
        yield* Audit.check
      }).pipe(Effect.provide(stack), Effect.provide(Audit.layer))
      assert.deepStrictEqual(provider.requests, [3, 1, 4])
    }))

  it.effect("fails the run if an independent model hands out a position twice", () =>
    Effect.gen(function*() {
      const broken = scripted("shared", [sampleAt(0), sampleAt(1), sampleAt(2), sampleAt(1), sampleAt(0)])
      yield* Effect.gen(function*() {
        yield* Audit.run(Effect.replicateEffect(LlmModel.sampleOne("a"), 3))
        const error = yield* Effect.flip(Audit.run(Effect.replicateEffect(LlmModel.sampleOne("a"), 2)))
        assert(error._tag === "AuditFailure")
        assert.deepStrictEqual(brief(error.faults), [row("top a", [5, 3, undefined], [0, 1])])
        assert.match(
          error.message,
          /^top: of 5 samples of "a" \(mock, temperature 1\) those at 0, 1 were handed out twice/
        )
        assert.include(JSON.stringify(error), "handed out twice")
      }).pipe(Effect.provide(Audit.watch(broken, "top")), Effect.provide(Audit.layer))
    }))

  it.effect("counts samples without a position once each, even with equal texts", () =>
    Effect.gen(function*() {
      const one = sampleAt()
      for (const sequence of ["shared", "new"] as const) {
        const of = (...drawn: Parameters<typeof scripted>[1]) =>
          Effect.replicateEffect(LlmModel.sampleOne("a"), 2).pipe(
            Audit.run,
            Effect.andThen(briefReport),
            Effect.provide(Audit.watch(scripted(sequence, drawn), "top")),
            Effect.provide(Layer.fresh(Audit.layer))
          )
        const fromCache = sequence === "new" ? 0 : undefined
        assert.deepStrictEqual(yield* of(one, sampleAt()), [row("top a", [2, 2, fromCache])])
        const { _tag, faults } = yield* Effect.flip(of(one, one)) as Effect.Effect<Audit.AuditFailure>
        assert.strictEqual(_tag, "AuditFailure")
        assert.deepStrictEqual(brief(faults), [row("top a", [2, 1, fromCache], [0])])
      }
    }))

  it.effect("accepts repeated draws from a caching model", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      yield* Effect.gen(function*() {
        yield* Effect.replicateEffect(LlmModel.sampleMany("a", 2), 3)
        yield* RepeatableModel.sampleOne("a")
        yield* Audit.check
        assert.deepStrictEqual(yield* briefReportOf("top"), [row("top a", [7, 2, 6])])
      }).pipe(
        Effect.provide(Audit.watch(Repeatable.layer, "top")),
        Effect.provide(Audit.watch(Independent.layer, "reader")),
        Effect.provide(Audit.watch(provider.layer, "provider")),
        Effect.provide(Audit.layer)
      )
    }))

  it.effect("finds one position of a reader at two positions of the cache above", () =>
    Effect.gen(function*() {
      const broken = scripted("remembered", [sampleAt(4), sampleAt(5), sampleAt(4)])
      yield* LlmModel.sampleMany("a", 2).pipe(
        Audit.run,
        Effect.provide(Audit.watch(broken, "top")),
        Effect.provide(Layer.fresh(Audit.layer))
      )
      const error = yield* LlmModel.sampleMany("a", 3).pipe(
        Audit.run,
        Effect.provide(Audit.watch(broken, "top")),
        Effect.provide(Layer.fresh(Audit.layer)),
        Effect.flip
      )
      assert(error._tag === "AuditFailure")
      assert.deepStrictEqual(brief(error.faults), [row("top a", [3, 3, undefined], [4])])
    }))

  it.effect("reports one watched layer in two places of a stack as two watches", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const memory = Audit.watch(Repeatable.layer, "memory")
      const rows = yield* Effect.replicateEffect(LlmModel.sampleMany("a", 2), 2).pipe(
        Audit.run,
        Effect.andThen(briefReport),
        Effect.provide(memory),
        Effect.provide(Audit.watch(Independent.layer, "reader")),
        Effect.provide(memory),
        Effect.provide(Audit.watch(provider.layer, "provider")),
        Effect.provide(Audit.layer)
      )
      assert.deepStrictEqual(rows, [
        row("provider a", [2, 2, 0]),
        row("memory a", [2, 2, 1]),
        row("reader a", [2, 2, 1]),
        row("memory a", [4, 2, 3])
      ])
    }))

  it.effect("builds a watched layer as often as an unwatched one", () =>
    Effect.gen(function*() {
      let built = 0
      const provider = yield* makeProvider()
      const shared = Layer.effect(LlmModel.LlmModel, Effect.sync(() => (built++, provider.model)))
      const stack = Layer.merge(
        Layer.provide(Audit.watch(Independent.layer, "top"), Audit.watch(shared, "provider")),
        Layer.provide(Audit.watch(Repeatable.layer, "memory"), Audit.watch(shared, "provider"))
      )
      const rows = yield* Effect.andThen(IndependentModel.sampleOne("a"), RepeatableModel.sampleOne("a")).pipe(
        Audit.run,
        Effect.andThen(briefReport),
        Effect.provide(stack),
        Effect.provide(Audit.layer)
      )
      assert.strictEqual(built, 1)
      assert.deepStrictEqual(rows, [
        row("provider a", [2, 2, 0]),
        row("top a", [1, 1, 0]),
        row("memory a", [1, 1, 0])
      ])
    }))

  it.effect("does not count a sample twice if the first consumer gave it back", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const { watch, report, check } = yield* Audit.make
      const model = watch(
        LlmModel.fromDraw({
          ...provider.model,
          sequence: "shared",
          draw: () => Effect.succeed([sampleAt(0)]),
          giveBack: () => Effect.void
        }),
        "top"
      )
      watch(provider.model, "provider")
      const key = new Key(model.identity, "a", [])
      yield* model.draw(key, 0, 1)
      yield* model.draw(key, 0, 1)
      assert.deepStrictEqual(brief(yield* report), [row("top a", [2, 1, 2], [0])])
      yield* model.giveBack!(key, [sampleAt(0)])
      yield* check
      assert.deepStrictEqual(brief(yield* report), [row("top a", [1, 1, 1])])
    }))

  it.effect("does not count a sample twice if another draw gets it while it is given back", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const { watch, report, check } = yield* Audit.make
      const key = new Key(provider.model.identity, "a", [])
      const model: LlmModel.Model = watch(
        LlmModel.fromDraw({
          ...provider.model,
          sequence: "shared",
          draw: () => Effect.succeed([sampleAt(0)]),
          giveBack: () => Effect.orDie(Effect.andThen(Effect.suspend(() => model.draw(key, 0, 1)), check))
        }),
        "top"
      )
      yield* model.giveBack!(key, yield* model.draw(key, 0, 1))
      assert.deepStrictEqual(brief(yield* report), [row("top a", [1, 1, undefined])])
    }))

  it.effect("is the same in the stack and in the program if both have the same layer", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const stack = Layer.provide(Audit.watch(provider.layer, "provider"), Audit.layer)
      const program = Effect.andThen(LlmModel.sampleOne("a"), briefReport)
      for (
        const rows of [
          yield* Effect.provide(program, Layer.merge(stack, Audit.layer)),
          yield* program.pipe(Effect.provide(stack), Effect.provide(Audit.layer))
        ]
      ) assert.deepStrictEqual(rows, [row("provider a", [1, 1, 0])])
    }))

  it.effect("reports forks, prompts and identities separately", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const draw = LlmModel.sampleOne("a")
      const stack = Independent.layer.pipe(
        Audit.watch("top"),
        Layer.provide(Repeatable.layer),
        Layer.provide(Audit.watch(provider.layer, "provider"))
      )
      const rows = yield* draw.pipe(
        Effect.andThen(Fork.forEach([0, 1], () => Effect.andThen(draw, Fork.fork(draw, "in")))),
        Effect.andThen(LlmModel.sampleOne("b")),
        Audit.run,
        Effect.andThen(briefReport),
        Effect.provide(stack),
        Effect.provide(Audit.layer)
      )
      assert.deepStrictEqual(
        rows.filter(({ at }) => at.startsWith("top")),
        ["top a", "top a 0", "top a 0 in", "top a 1", "top a 1 in", "top b"].map((at) => row(at, [1, 1, 0]))
      )
    }))

  it.effect("does not count the samples that a failed sampleMany gave back", () =>
    Effect.gen(function*() {
      for (const isRemembered of [true, false]) {
        const provider = yield* makeProvider()
        const provided = Audit.watch(provider.layer, "provider")
        const stack = Independent.layer.pipe(
          Audit.watch("top"),
          Layer.provide(isRemembered ? Layer.provide(Repeatable.layer, provided) : provided)
        )
        yield* Effect.gen(function*() {
          provider.gate = Effect.sync(() => {
            if (provider.given.length === 2) provider.failures = 1
          })
          yield* Effect.flip(LlmModel.sampleMany("a", 4, { batch: 1 }))
          assert.deepStrictEqual(yield* briefReportOf("top"), [row("top a", [0, 0, 0])])
          provider.gate = Effect.void
          assert.deepStrictEqual(yield* LlmModel.sampleMany("a", 3, { batch: 1 }), ["a #0", "a #1", "a #2"])
          yield* Audit.check
          assert.deepStrictEqual(yield* briefReportOf("top"), [row("top a", [3, 3, 2])])
        }).pipe(Effect.provide(stack), Effect.provide(Layer.fresh(Audit.layer)))
      }
    }))

  it.effect("does not count an interrupted draw, nor its request for the next draw", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const stack = Independent.layer.pipe(Audit.watch("top"), Layer.provide(Audit.watch(provider.layer, "provider")))
      yield* Effect.gen(function*() {
        const first = yield* Effect.forkChild(LlmModel.sampleOne("a"))
        while (provider.requests.length === 0) yield* Effect.yieldNow
        yield* Fiber.interrupt(first)
        assert.deepStrictEqual(yield* briefReport, [])
        const second = yield* Effect.forkChild(LlmModel.sampleOne("a"))
        yield* gate.open
        assert.strictEqual(yield* Fiber.join(second), "a #0")
        yield* Audit.check
        assert.deepStrictEqual(yield* briefReport, [row("provider a", [1, 1, 0]), row("top a", [1, 1, 1])])
      }).pipe(Effect.provide(stack), Effect.provide(Audit.layer))
    }))

  it.effect("lets a watched sampleMany give back its samples, whenever it is interrupted", () =>
    Effect.gen(function*() {
      for (let operations = 3; operations < 16; operations++) {
        for (let yields = 0; yields < 12; yields++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const provider = yield* makeProvider()
            const memory = yield* Repeatable.make(provider.model)
            yield* LlmModel.sampleMany("a", 8).pipe(using(memory))
            const audit = yield* Audit.make
            const model = audit.watch(yield* Independent.make(memory), "top")
            const fiber = yield* LlmModel.sampleMany("a", 5).pipe(
              using(model),
              Effect.provideService(References.MaxOpsBeforeYield, operations),
              Effect.forkChild({ startImmediately: true })
            )
            for (let i = 0; i < yields; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            const next = yield* LlmModel.sampleOne("a").pipe(using(model))
            assert.include(["a #0", "a #5"], next, `${operations} operations, ${yields} yields`)
            yield* audit.check
          }))
        }
      }
    }))

  it.effect("counts the draws of 200 fibers once each", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 10 })
      const stack = Independent.layer.pipe(
        Audit.watch("top"),
        Layer.provide(Audit.watch(Repeatable.layer, "memory")),
        Layer.provide(Audit.watch(provider.layer, "provider"))
      )
      yield* Effect.gen(function*() {
        yield* Effect.forEach(
          Array.from({ length: 200 }),
          (_, i) =>
            i % 4 === 0
              ? Effect.asVoid(Effect.timeoutOption(LlmModel.sampleOne("a"), 0))
              : i % 2 === 0
              ? LlmModel.sampleMany("a", 5, { batch: 5 })
              : LlmModel.sampleOne("a"),
          { concurrency: "unbounded" }
        )
        yield* Audit.check
        const [provided, memory, top] = yield* Audit.report
        assert.isAtLeast(top!.handedOut, 350)
        assert.isAtMost(top!.handedOut, 400)
        assert.strictEqual(top!.distinct, top!.handedOut)
        assert.strictEqual(memory!.distinct, memory!.handedOut)
        assert.strictEqual(provided!.handedOut, provider.given.length)
        assert.isAtMost(top!.handedOut - top!.fromCache!, provider.requests.length)
      }).pipe(Effect.provide(stack), Effect.provide(Audit.layer))
    }))

  it.effect("counts all draws that share a request, except its sender, as cached", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const rows = yield* Effect.replicateEffect(LlmModel.sampleOne("a"), 200, { concurrency: "unbounded" }).pipe(
        Audit.run,
        Effect.andThen(briefReport),
        Effect.provide(Audit.watch(Repeatable.layer, "top")),
        Effect.provide(Audit.watch(provider.layer, "provider")),
        Effect.provide(Audit.layer)
      )
      assert.deepStrictEqual(rows, [row("provider a", [1, 1, 0]), row("top a", [200, 1, 199])])
    }))

  it.effect("counts the samples of a warm cache and of a resumed run as cached", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const runOf = (n: number) =>
        Effect.gen(function*() {
          const provider = yield* makeProvider()
          const rows = yield* LlmModel.sampleMany("a", n, { batch: 1 }).pipe(
            Audit.run,
            Effect.andThen(briefReport),
            Effect.provide(
              Independent.layer.pipe(
                Audit.watch("top"),
                Layer.provide(Audit.watch(Persistent.layer({ directory }), "cache")),
                Layer.provide(Audit.watch(provider.layer, "provider"))
              )
            ),
            Effect.provide(Layer.fresh(Audit.layer))
          )
          return Object.fromEntries(rows.map(({ at, counts }) => [at, counts]))
        })
      assert.deepStrictEqual(yield* runOf(2), { "top a": [2, 2, 0], "cache a": [2, 2, 0], "provider a": [2, 2, 0] })
      assert.deepStrictEqual(yield* runOf(5), { "top a": [5, 5, 2], "cache a": [5, 5, 2], "provider a": [3, 3, 0] })
      assert.deepStrictEqual(yield* runOf(5), { "top a": [5, 5, 5], "cache a": [5, 5, 5] })
    }))

  it.effect("has no fromCache if the provider is not watched", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const other = yield* makeProvider({ model: "other" })
      const rows = yield* LlmModel.sampleOne("a").pipe(
        Effect.andThen(briefReport),
        Effect.provide(Layer.provide(Audit.watch(Independent.layer, "top"), provider.layer)),
        Effect.provide(Audit.watch(other.layer, "other")),
        Effect.provide(Audit.layer)
      )
      assert.deepStrictEqual(rows, [row("top a", [1, 1, undefined])])
    }))

  it.effect("compares the draws of a model that is provided twice", () =>
    Effect.gen(function*() {
      const audit = yield* Audit.make
      const broken = yield* Effect.provide(LlmModel.LlmModel, scripted("shared", [sampleAt(0), sampleAt(0)]))
      const stack = Audit.watch(Layer.succeed(LlmModel.LlmModel, broken), "top")
      const once = Effect.provide(LlmModel.sampleOne("a"), stack)
      const error = yield* Effect.andThen(once, once).pipe(
        Audit.run,
        Effect.provideService(Audit.Audit, audit),
        Effect.flip
      )
      assert.strictEqual(error._tag, "AuditFailure")
    }))

  it.effect("keeps the other services of a watched layer", () =>
    Effect.gen(function*() {
      class Other extends Context.Service<Other, string>()("test/Other") {}
      const provider = yield* makeProvider()
      const both = Audit.watch(Layer.merge(provider.layer, Layer.succeed(Other, "other")), "both")
      const seen = yield* Effect.all([LlmModel.sampleOne("a"), Effect.service(Other), briefReport]).pipe(
        Effect.provide(both),
        Effect.provide(Audit.layer)
      )
      assert.deepStrictEqual(seen, ["a #0", "other", [row("both a", [1, 1, 0])]])
    }))

  it.effect("is new for each run, and dies without any watch", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const once = LlmModel.sampleOne("a").pipe(
        Effect.andThen(briefReport),
        Effect.provide(Audit.watch(provider.layer, "provider")),
        Effect.provide(Audit.layer)
      )
      assert.deepStrictEqual(yield* once, [row("provider a", [1, 1, 0])])
      assert.deepStrictEqual(yield* once, [row("provider a", [1, 1, 0])])
      const exit = yield* Effect.exit(Effect.provide(Audit.check, Audit.layer))
      assert.match(String(exit), /watches nothing/)
    }))
})
