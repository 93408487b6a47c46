import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, Persistent, Repeatable } from "@llm-cache/core"
import * as Audit from "@llm-cache/core/Audit"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Fiber, References } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import { allDifferent, build, directoryStore } from "./support/stack.ts"

const concurrently = { concurrency: "unbounded" } as const

it.effect("law 9: a `sampleMany` that is interrupted between any two of its steps has taken all of its samples, or none", () =>
  Effect.gen(function*() {
    for (const beneath of ["a provider", "Repeatable", "Persistent"]) {
      for (let steps = 3; steps < 35; steps++) {
        for (let yields = 0; yields < 12; yields++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const provider = yield* makeProvider()
            const memory = beneath === "Repeatable"
              ? yield* Repeatable.make(provider.model)
              : beneath === "Persistent"
              ? yield* Persistent.make(provider.model, yield* directoryStore(yield* makeDirectory))
              : provider.model
            if (memory !== provider.model) yield* LlmModel.sampleMany("a", 8).pipe(using(memory))
            const model = yield* Independent.make(memory)
            const fiber = yield* LlmModel.sampleMany("a", 5).pipe(
              using(model),
              Effect.provideService(References.MaxOpsBeforeYield, steps),
              Effect.forkChild({ startImmediately: true })
            )
            for (let i = 0; i < yields; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            const next = yield* LlmModel.sampleMany("a", 3).pipe(using(model))
            assert.include(["a #0,a #1,a #2", "a #5,a #6,a #7"], next.join())
          }))
        }
      }
    }
  }))

describe("ten thousand fibers", () => {
  const fibers = Array.from({ length: 10_000 }, (_, i) => i)

  it.effect("on one prompt: one request where they repeat, a draw for each where they are independent", () =>
    Effect.gen(function*() {
      for (const stack of [["Repeatable"], ["Independent"], ["Independent", "Repeatable"]] as const) {
        const provider = yield* makeProvider()
        const audit = yield* Audit.make
        const [above] = yield* build(stack, audit.watch(provider.model, "provider"), yield* makeDirectory)
        const model = audit.watch(above!, "top")
        const texts = yield* Effect.forEach(fibers, () => LlmModel.sampleOne("a"), concurrently).pipe(using(model))
        const draws = stack[0] === "Repeatable" ? 1 : fibers.length
        assert.strictEqual(new Set(texts).size, draws)
        assert.strictEqual(provider.requests.length, draws)
        const counts = (yield* audit.report).map((
          { distinct, fromCache, handedOut, watch }
        ) => [watch, handedOut, distinct, fromCache])
        assert.deepStrictEqual(counts, [
          ["provider", draws, draws, 0],
          ["top", fibers.length, draws, fibers.length - draws]
        ])
      }
    }).pipe(Effect.scoped))

  it.effect("on as many prompts: each gets its own, and the last is not kept waiting for the first", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      const model = yield* Repeatable.make(provider.model)
      provider.gate = Effect.suspend(() => provider.requests.length === 1 ? gate.wait : Effect.void)
      const done: Array<number> = []
      const all = yield* Effect.forkChild(
        Effect.forEach(
          fibers,
          (i) =>
            Effect.tap(
              LlmModel.sampleOne(`${i}`),
              (text) => Effect.sync(() => text.startsWith(`${i} #`) && done.push(i))
            ),
          concurrently
        ).pipe(using(model))
      )
      yield* Effect.eventually(
        Effect.suspend(() =>
          done.length === fibers.length - 1 ? Effect.void : Effect.andThen(Effect.yieldNow, Effect.fail("wait"))
        )
      )
      yield* gate.open
      yield* Fiber.join(all)
      assert.strictEqual(done.length, fibers.length)
      assert.strictEqual(provider.requests.length, fibers.length)
    }).pipe(Effect.scoped))
})

it.effect("memory goes back when the samples of a prompt have been handed out", () =>
  Effect.gen(function*() {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const provider = yield* TestModel.make({ size: () => 1 })
    const model = yield* Independent.make(provider.model)
    const forget = () => provider.requests.length = provider.samples.length = 0
    const used = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const draw = (i: number) => LlmModel.sampleOne(`${i} ${"x".repeat(20_000)}`).pipe(using(model), Effect.asVoid)
    yield* Effect.forEach(Array.from({ length: 100 }), (_, i) => draw(i), concurrently)
    forget()
    const before = used()
    for (let round = 1; round <= 20; round++) {
      yield* Effect.forEach(Array.from({ length: 100 }), (_, i) => draw(1000 * round + i), concurrently)
      forget()
    }
    // 40 MB of prompts went through
    assert.isBelow(used() - before, 8_000_000)
    // and a prompt that was done is drawn again, from where nothing was handed out
    const [again] = yield* Effect.replicateEffect(LlmModel.sampleMany("p", 3), 2).pipe(using(model))
    assert.isTrue(allDifferent(again!))
  }).pipe(Effect.scoped))
