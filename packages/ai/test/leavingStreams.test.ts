import { assert, describe, it } from "@effect/vitest"
import type { CachedModel } from "@llm-cache/ai"
import { Independent, MemoryStore, type Persistent, type SampleStore } from "@llm-cache/core"
import { Effect, Exit, Fiber, Latch, Layer, Queue, References, Scope, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { samplesOf } from "./support/listed.ts"
import { cached, deltas, replayed, scripted } from "./support/scripted.ts"

const stream = LanguageModel.streamText({ prompt: "x" })

const textOf = Stream.runFold(stream, () => "", (all, part) => part.type === "text-delta" ? all + part.delta : all)

/** A provider that waits before its first part, or after its second one, until it may go on. */
const waiting = (before: "the first part" | "the third part") => {
  const goOn = Latch.makeUnsafe()
  const ended: Array<string> = []
  const at = before === "the first part" ? 0 : 2
  const provider = scripted(undefined, (_, i) => {
    const parts = Stream.fromIterable(deltas(`answer ${i}`, "!")).pipe(Stream.rechunk(1))
    return Stream.take(parts, at).pipe(
      Stream.concat(Stream.fromEffectDrain(goOn.await)),
      Stream.concat(Stream.drop(parts, at)),
      Stream.onExit((exit) => Effect.sync(() => ended.push(exit._tag)))
    )
  })
  return { ...provider, goOn: goOn.open, ended }
}

const settled = Effect.repeat(Effect.yieldNow, { times: 200 })

/** The text that a store replays. */
const recorded = (store: SampleStore.Store) => Effect.provide(textOf, replayed(store))

describe("a program that leaves a stream", () => {
  const leave = Effect.fnUntraced(function*(
    before: Parameters<typeof waiting>[0],
    options: CachedModel.Options & { readonly joiners: number }
  ) {
    const { joiners, ...model } = options
    const store = yield* MemoryStore.make
    const provider = waiting(before)
    const texts = yield* Effect.gen(function*() {
      const shown = yield* Queue.unbounded<string>()
      const left = yield* Effect.forkChild(
        Stream.runForEach(stream, ({ type }) => Queue.offer(shown, type)),
        { startImmediately: true }
      )
      const joined = yield* Effect.forEach(
        Array.from({ length: joiners }),
        () => Effect.forkChild(textOf, { startImmediately: true })
      )
      if (before === "the third part") yield* Effect.andThen(Queue.take(shown), Queue.take(shown))
      yield* settled
      yield* Fiber.interrupt(left)
      yield* settled
      yield* provider.goOn
      yield* settled
      return yield* Effect.forEach(joined, Fiber.join)
    }).pipe(Effect.provide(cached(provider.layer, { store, ...model })))
    return { ended: provider.ended, requests: provider.requests.length, samples: yield* samplesOf(store), texts }
  })

  for (const joiners of [0, 2]) {
    it.effect(`before its first part has its request finished and recorded, with ${joiners} others that joined`, () =>
      Effect.gen(function*() {
        const { ended, requests, samples, texts } = yield* leave("the first part", { joiners })
        assert.deepStrictEqual(texts, Array.from({ length: joiners }, () => "answer 0!"))
        assert.strictEqual(requests, 1)
        assert.deepStrictEqual(ended, ["Success"])
        assert.lengthOf(samples, 1)
      }))

    it.effect(`after its first part does so too, with ${joiners} others`, () =>
      Effect.gen(function*() {
        const { requests, samples, texts } = yield* leave("the third part", { joiners })
        assert.deepStrictEqual(texts, Array.from({ length: joiners }, () => "answer 0!"))
        assert.strictEqual(requests, 1)
        assert.lengthOf(samples, 1)
      }))

    for (const before of ["the first part", "the third part"] as const) {
      it.effect(`before ${before} aborts its request if told to, and ${joiners} others get another answer`, () =>
        Effect.gen(function*() {
          const { ended, requests, samples, texts } = yield* leave(before, { joiners, whenAbandoned: "abort" })
          assert.strictEqual(ended[0], "Failure")
          assert.deepStrictEqual(texts, Array.from({ length: joiners }, () => "answer 1!"))
          assert.strictEqual(requests, joiners === 0 ? 1 : 2)
          assert.lengthOf(samples, joiners === 0 ? 0 : 1)
        }))
    }
  }

  // Every number of steps and of yields, and in the long tier every pair of them.
  const stride = Number(process.env["LLM_CACHE_STEP_STRIDE"] ?? 4)

  it.effect("before its first part, between any two of its steps, has not taken the sample under Independent", () =>
    Effect.gen(function*() {
      for (const live of [true, false]) {
        for (let yields = 0; yields < 12; yields++) {
          for (let steps = 3 + yields % stride; steps < 40; steps += stride) {
            const provider = waiting("the first part")
            yield* Effect.gen(function*() {
              const left = yield* Stream.runDrain(stream).pipe(
                Effect.provideService(References.MaxOpsBeforeYield, steps),
                Effect.forkChild({ startImmediately: true })
              )
              for (let i = 0; i < yields; i++) yield* Effect.yieldNow
              yield* Fiber.interrupt(left)
              yield* provider.goOn
              yield* settled
              assert.strictEqual(yield* textOf, "answer 0!", `${steps} steps, ${yields} yields`)
            }).pipe(Effect.provide(Independent.layer), Effect.provide(cached(provider.layer, { live })))
          }
        }
      }
    }))
})

describe("a cache that closes", () => {
  const closing = Effect.fnUntraced(function*(cache: Persistent.StoreOptions, model: CachedModel.Options = {}) {
    const store = yield* MemoryStore.make
    const provider = waiting("the third part")
    const program = Effect.gen(function*() {
      yield* Stream.runDrain(Stream.take(stream, 1))
      yield* Effect.addFinalizer(() => Effect.forkDetach(Effect.andThen(settled, provider.goOn)))
    }).pipe(Effect.scoped)
    yield* Effect.provide(program, cached(provider.layer, { store, cache, ...model }))
    return { ended: provider.ended, store }
  })

  it.effect("ends the request of a stream that was left, and records nothing", () =>
    Effect.gen(function*() {
      const { ended, store } = yield* closing({})
      assert.deepStrictEqual(ended, ["Failure"])
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  it.effect("lets it finish under `onClose: \"finish\"`, and records it", () =>
    Effect.gen(function*() {
      const { ended, store } = yield* closing({ onClose: "finish" })
      assert.deepStrictEqual(ended, ["Success"])
      assert.strictEqual(yield* recorded(store), "answer 0!")
    }))

  it.effect("does not wait for a stream that was aborted", () =>
    Effect.gen(function*() {
      const { ended, store } = yield* closing({ onClose: "finish" }, { whenAbandoned: "abort" })
      assert.deepStrictEqual(ended, ["Failure"])
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  it.effect("interrupts a stream that is still read, and each later stream", () =>
    Effect.gen(function*() {
      const provider = waiting("the third part")
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(cached(provider.layer), scope)
      const shown = yield* Queue.unbounded<string>()
      const read = yield* Stream.runForEach(stream, ({ type }) => Queue.offer(shown, type)).pipe(
        Effect.provide(context),
        Effect.forkChild({ startImmediately: true })
      )
      yield* Queue.take(shown)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(read)))
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(Effect.provide(textOf, context))))
    }))
})
