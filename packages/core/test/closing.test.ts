import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel, MemoryStore, Persistent, SampleStore } from "@llm-cache/core"
import { Cause, Deferred, Effect, Exit, Fiber, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"

/** A cache, and a provider with requests that wait at a gate. */
const makeWaiting = Effect.fnUntraced(function*(
  options: Persistent.StoreOptions,
  wrap: (memory: MemoryStore.MemoryStore) => SampleStore.Store = (memory) => memory
) {
  const provider = yield* makeProvider()
  const gate = yield* makeGate
  const ends: Array<Exit.Exit<unknown>["_tag"]> = []
  provider.gate = Effect.onExit(gate.wait, (exit) => Effect.sync(() => void ends.push(exit._tag)))
  const memory = yield* MemoryStore.make
  const scope = yield* Scope.make()
  const cache = yield* Persistent.make(provider.model, wrap(memory), options).pipe(Scope.provide(scope))
  const draw = (prompt: string) => LlmModel.sampleOne(prompt).pipe(using(cache))
  const stored = (prompt: string) => memory.positions(new Key.Key(provider.model.identity, prompt, []))
  return { provider, gate, ends, cache, draw, stored, scope, close: Scope.close(scope, Exit.void) }
})

/** Runs an effect until it waits. */
const start = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkChild(self, { startImmediately: true }), () => yields)

const yields = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

describe("A request in flight when the layer closes", () => {
  it.effect("is interrupted by default", () =>
    Effect.gen(function*() {
      const { close, draw, ends, gate, stored } = yield* makeWaiting({})
      yield* Effect.flatMap(start(draw("p")), Fiber.interrupt)
      yield* close
      assert.deepStrictEqual(ends, ["Failure"])
      yield* gate.open
      assert.deepStrictEqual(yield* stored("p"), [])
    }))

  it.effect("is finished and stored, although its draw has gone", () =>
    Effect.gen(function*() {
      const { close, draw, ends, gate, stored } = yield* makeWaiting({ onClose: "finish" })
      for (const prompt of ["p", "q"]) yield* Effect.flatMap(start(draw(prompt)), Fiber.interrupt)
      const closing = yield* start(close)
      assert.deepStrictEqual(ends, [])
      assert.isUndefined(closing.pollUnsafe())
      yield* gate.open
      yield* Fiber.join(closing)
      assert.deepStrictEqual(ends, ["Success", "Success"])
      assert.deepStrictEqual([yield* stored("p"), yield* stored("q")], [[0], [0]])
    }))

  it.effect("is finished after a program that ran out of time", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      provider.gate = Effect.sleep("10 seconds")
      const memory = yield* MemoryStore.make
      const program = LlmModel.sampleOne("p").pipe(
        Effect.timeoutOption("1 second"),
        Effect.provide(Persistent.layer({ store: memory, onClose: "finish" })),
        using(provider.model)
      )
      const running = yield* start(program)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(running))._tag, "None")
      assert.deepStrictEqual(yield* memory.positions(new Key.Key(provider.model.identity, "p", [])), [0])
    }))

  it.effect("gives its sample to a draw that still waits, and no further request starts", () =>
    Effect.gen(function*() {
      const { close, draw, gate, provider } = yield* makeWaiting({ onClose: "finish" })
      const waiting = yield* start(draw("p"))
      const closing = yield* start(close)
      const late = yield* Effect.exit(draw("q"))
      assert(Exit.isFailure(late))
      assert.include(Cause.pretty(late.cause), "after the scope of its layer was closed")
      yield* gate.open
      assert.strictEqual(yield* Fiber.join(waiting), "p #0")
      yield* Fiber.join(closing)
      assert.lengthOf(provider.requests, 1)
    }))

  it.effect("is not sent any more if it was not sent yet", () =>
    Effect.gen(function*() {
      const ready = yield* Deferred.make<void>()
      const { close, draw, gate, provider, stored } = yield* makeWaiting({ onClose: "finish" }, (memory) =>
        SampleStore.make({
          ...memory,
          prepare: (key) =>
            Effect.andThen(Deferred.await(ready), memory.prepare(key))
        }))
      yield* gate.open
      yield* start(draw("p"))
      const closing = yield* start(close)
      yield* Deferred.succeed(ready, undefined)
      yield* Fiber.join(closing)
      assert.lengthOf(provider.requests, 0)
      assert.deepStrictEqual(yield* stored("p"), [])
    }))

  it.effect("is interrupted with a warning after the time that is given for it", () =>
    Effect.gen(function*() {
      const messages: Array<string> = []
      const logger = Logger.make(({ message }) => void messages.push(String(message)))
      const { close, draw, ends, stored } = yield* makeWaiting({ onClose: "finish", finishWithin: "30 seconds" })
      yield* start(draw("p"))
      const closing = yield* start(Effect.provide(close, Logger.layer([logger])))
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(ends, [])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(ends, ["Failure"])
      assert.deepStrictEqual(messages, [
        "Requests that are interrupted, because they did not end within `finishWithin`: 1"
      ])
      assert.deepStrictEqual(yield* stored("p"), [])
    }))

  it.effect("gives samples for the rescue file if the store refuses them", () =>
    Effect.gen(function*() {
      const rescueDirectory = yield* makeDirectory
      const { close, draw, gate } = yield* makeWaiting({ onClose: "finish", rescueDirectory }, (memory) =>
        SampleStore.make({ ...memory, put: () => Effect.die(new Error("bug")) }))
      yield* Effect.flatMap(start(draw("p")), Fiber.interrupt)
      const closing = yield* start(close)
      yield* gate.open
      yield* Fiber.join(closing)
      assert.lengthOf(Fs.readdirSync(rescueDirectory), 1)
    }).pipe(Effect.scoped))

  it.effect.each(
    [
      ["onClose", { onClose: "wait" as "finish" }],
      ["finishWithin", { finishWithin: "soon" as "1 second" }]
    ] as const
  )("needs a valid `%s`", ([name, options]) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const error = yield* Effect.flip(Persistent.make(provider.model, yield* MemoryStore.make, options))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, `\`${name}\``)
    }).pipe(Effect.scoped))
})
