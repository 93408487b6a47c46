import { assert, describe, it } from "@effect/vitest"
import { Events, Independent, Key, LlmModel, MemoryStore, Persistent, SampleError, SampleStore } from "@llm-cache/core"
import { Clock, Effect, Exit, Fiber, Logger, Result, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeGate, makeProvider, using } from "./support/provider.ts"

/** A memory whose positions can be leased, by the clock of the test. */
const makeLeased = Effect.map(MemoryStore.make, (store) => {
  const held = new Map<string, { readonly holder: string; readonly until: number }>()
  const idOf = (key: Key.Key, position: number) => JSON.stringify([key.identity.id, key.prompt, key.path, position])
  const faults = { acquire: 0 }
  const leases: SampleStore.Leases = {
    acquire: (key, positions, holder, expiry) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (faults.acquire > 0) {
          faults.acquire--
          return Effect.fail(
            new SampleError.StoreError({
              kind: "Unavailable",
              store: "leased",
              operation: "lease",
              description: "down"
            })
          )
        }
        const ids = positions.map((position) => idOf(key, position))
        const isFree = ids.every((id) => {
          const lease = held.get(id)
          return lease === undefined || lease.holder === holder || lease.until <= now
        })
        if (isFree) { for (const id of ids) held.set(id, { holder, until: now + expiry }) }
        return Effect.succeed(isFree)
      }),
    release: (key, positions, holder) =>
      Effect.sync(() => {
        for (const position of positions) {
          const id = idOf(key, position)
          if (held.get(id)?.holder === holder) held.delete(id)
        }
      })
  }
  return { ...store, leases, held, faults }
})

const many = (model: LlmModel.Model, n: number, batch?: number) =>
  LlmModel.sampleMany("a", n, { batch }).pipe(using(model))

/** Two models over one store and one provider whose requests wait at a gate. */
const makeTwo = Effect.fnUntraced(function*(options?: Parameters<typeof makeProvider>[0]) {
  const store = yield* makeLeased
  const provider = yield* makeProvider(options)
  const gate = yield* makeGate
  provider.gate = gate.wait
  const persistent = Persistent.make(provider.model, store, { lease: "10 seconds" })
  const [one, two] = yield* Effect.all([persistent, persistent])
  return { store, provider, gate, one, two }
})

describe("A store with leases", () => {
  it.effect("lets the second process wait for the sample of the first", () =>
    Effect.gen(function*() {
      const { gate, one, provider, store, two } = yield* makeTwo()
      const both = yield* Effect.forkChild(
        Effect.all([many(one, 3, 3), many(two, 3, 2), many(two, 1)], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(provider.requests, [3])
      yield* gate.open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(both), [["a #0", "a #1", "a #2"], ["a #0", "a #1", "a #2"], ["a #0"]])
      assert.deepStrictEqual(provider.requests, [3])
      assert.strictEqual(store.held.size, 0)
    }))

  it.effect("reports a hit after a wait in the second process", () =>
    Effect.gen(function*() {
      const { gate, one, two } = yield* makeTwo()
      const first = yield* Effect.forkChild(many(one, 1))
      yield* TestClock.adjust(1)
      const told: Array<string> = []
      const second = yield* Effect.forkChild(
        Effect.andThen(
          Events.listen((event) => told.push(event._tag === "Hit" && event.waited ? "waited" : event._tag)),
          Effect.andThen(many(two, 1), many(two, 1))
        ).pipe(Effect.scoped, Effect.provide(Events.layer))
      )
      yield* TestClock.adjust("1 second")
      yield* gate.open
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      assert.deepStrictEqual(told, ["waited", "Hit"])
    }))

  it.effect("lets an interrupted draw request nothing, and the waiting draw get the sample", () =>
    Effect.gen(function*() {
      const { gate, one, provider, store, two } = yield* makeTwo()
      const first = yield* Effect.forkChild(many(one, 1))
      yield* TestClock.adjust("1 millis")
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(many(two, 1)))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interruptAll([waiting[0]!, waiting[1]!])
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(waiting[2]!)
      store.held.clear()
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(provider.requests, [1])
      const again = yield* Effect.forEach([1, 2], () => Effect.forkChild(many(two, 1)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(again[0]!)
      yield* gate.open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(again[1]!), ["a #0"])
      assert.deepStrictEqual([yield* Fiber.join(first), provider.requests], [["a #0"], [1]])
    }))

  it.effect("lets free positions be requested at once", () =>
    Effect.gen(function*() {
      const { gate, one, provider, two } = yield* makeTwo()
      yield* gate.open
      yield* many(one, 2)
      provider.gate = Effect.never
      const waiting = yield* Effect.forkChild(many(one, 3))
      yield* Effect.yieldNow
      const other = yield* Effect.forkChild(LlmModel.sampleOne("b").pipe(using(two)))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(provider.requests, [2, 1, 1])
      yield* Fiber.interruptAll([waiting, other])
    }))

  it.effect("renews the lease of a long request", () =>
    Effect.gen(function*() {
      const { gate, one, provider, two } = yield* makeTwo()
      const both = yield* Effect.forkChild(Effect.all([many(one, 1), many(two, 1)], { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(provider.requests, [1])
      yield* gate.open
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(both), [["a #0"], ["a #0"]])
      assert.deepStrictEqual(provider.requests, [1])
    }))

  it.effect("lets the second process request when the lease of a dead process expires, and not before", () =>
    Effect.gen(function*() {
      const { gate, provider, store, two } = yield* makeTwo()
      const leases = { ...store.leases, release: () => Effect.void }
      const scope = yield* Scope.make()
      const died = yield* Persistent.make(provider.model, { ...store, leases }, { lease: "10 seconds" }).pipe(
        Scope.provide(scope)
      )
      const drawing = yield* Effect.forkChild(Effect.exit(many(died, 1)))
      yield* TestClock.adjust("1 millis")
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(drawing)
      assert.deepStrictEqual(provider.requests, [1])
      yield* gate.open
      const second = yield* Effect.forkChild(many(two, 1))
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(provider.requests, [1])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(second), ["a #0"])
      assert.deepStrictEqual(provider.requests, [1, 1])
    }))

  it.effect("lets the next process request after a failed request", () =>
    Effect.gen(function*() {
      const { gate, one, provider, store, two } = yield* makeTwo()
      provider.failures = 1
      const both = yield* Effect.forkChild(
        Effect.all([Effect.exit(many(one, 1)), Effect.exit(many(two, 1))], { concurrency: "unbounded" })
      )
      yield* Effect.yieldNow
      yield* gate.open
      yield* TestClock.adjust("1 second")
      const [first, second] = yield* Fiber.join(both)
      assert.isTrue(Exit.isFailure(first))
      assert.deepStrictEqual(second, Exit.succeed(["a #0"]))
      assert.strictEqual(store.held.size, 0)
    }))

  it.effect("fails a draw before any request if it cannot take the lease", () =>
    Effect.gen(function*() {
      const { gate, one, provider, store } = yield* makeTwo()
      yield* gate.open
      store.faults.acquire = 1
      assert.strictEqual((yield* Effect.flip(many(one, 1)))._tag, "StoreError")
      assert.deepStrictEqual(provider.requests, [])
      assert.deepStrictEqual(yield* many(one, 1), ["a #0"])
    }))

  it.effect("survives failed renewals of a lease", () =>
    Effect.gen(function*() {
      const { gate, one, provider, store } = yield* makeTwo()
      const drawing = yield* Effect.forkChild(many(one, 1))
      yield* TestClock.adjust("1 second")
      store.faults.acquire = 3
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(store.faults.acquire, 0)
      yield* gate.open
      assert.deepStrictEqual(yield* Fiber.join(drawing), ["a #0"])
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("leases the draws of a shared reader, but not of a caching model", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const beneath = yield* Persistent.make(provider.model, yield* MemoryStore.make)
      for (const [model, leased] of [[yield* Independent.make(beneath), 1], [beneath, 0]] as const) {
        const store = yield* makeLeased
        const above = yield* Persistent.make(model, store, { lease: 1000 })
        const drawing = yield* Effect.forkChild(many(above, 1))
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(store.held.size, leased)
        yield* Fiber.interrupt(drawing)
      }
    }))

  it.effect("is required for the option lease, which has to be a finite time", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const [plain, leased] = yield* Effect.all([MemoryStore.make, makeLeased])
      const refused = yield* Effect.flip(Persistent.make(provider.model, plain, { lease: "1 second" }))
      assert.include(refused.message, "has no leases")
      for (const lease of [0, Infinity, 1e19] as const) {
        const error = yield* Effect.flip(Persistent.make(provider.model, leased, { lease }))
        assert.include(error.message, "at least a millisecond")
      }
    }))
})

describe("A sample that the store failed to put", () => {
  const down = new SampleError.StoreError({
    kind: "Unavailable",
    store: "flaky",
    operation: "put",
    description: "down"
  })

  /** A store that fails to put while it is down, before or after it has done so. */
  const makeFlaky = Effect.map(MemoryStore.make, (store) => {
    const fault: { is: "none" | "before" | "after" } = { is: "none" }
    const flaky: SampleStore.Store = {
      ...store,
      put: (...args) =>
        fault.is === "before"
          ? Effect.fail(down)
          : Effect.tap(store.put(...args), () => fault.is === "after" ? Effect.fail(down) : Effect.void)
    }
    return { fault, flaky, store }
  })

  it.effect.each(["before", "after"] as const)(
    "is stored once by the next draw (the fault comes %s)",
    (is) =>
      Effect.gen(function*() {
        const { fault, flaky, store } = yield* makeFlaky
        const provider = yield* makeProvider()
        const persistent = yield* Persistent.make(provider.model, flaky)
        const model = yield* Independent.make(persistent)
        fault.is = is
        assert.strictEqual((yield* Effect.flip(many(model, 3, 3)))._tag, "StoreError")
        fault.is = "none"
        // of another position than the one that failed, too
        const drawn = yield* Effect.all([many(persistent, 5), many(model, 2), many(model, 3)], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(provider.given, ["a #0", "a #1", "a #2", "a #3", "a #4"])
        assert.deepStrictEqual(drawn[0], provider.given)
        assert.sameMembers(drawn.slice(1).flat(), provider.given)
        const [listed] = yield* Stream.runCollect(Stream.filterMap(store.keys(), (element) => element))
        assert.strictEqual(listed!.samples, 5)
      })
  )

  it.effect.each(["Persistent", "Independent"] as const)(
    "stops all requests, of other prompts too, until one sample is stored again (%s)",
    (combinator) =>
      Effect.gen(function*() {
        const { fault, flaky, store } = yield* makeFlaky
        const provider = yield* makeProvider()
        const persistent = yield* Persistent.make(provider.model, flaky)
        const model = combinator === "Persistent" ? persistent : yield* Independent.make(persistent)
        const drawAll = (concurrency: number) =>
          Effect.forEach(
            Array.from({ length: 40 }, (_, i) => `prompt ${i}`),
            (prompt) => Effect.result(LlmModel.sampleOne(prompt).pipe(using(model))),
            { concurrency }
          )
        fault.is = "before"
        const failed = yield* drawAll(4)
        assert.isTrue(failed.every((result) => Result.isFailure(result) && result.failure._tag === "StoreError"))
        assert.isAtMost(provider.requests.length, 4)
        yield* drawAll(40)
        assert.isAtMost(provider.requests.length, 4)
        fault.is = "none"
        const drawn = yield* drawAll(4)
        assert.isTrue(drawn.every(Result.isSuccess))
        assert.lengthOf(provider.requests, 40)
        assert.lengthOf(yield* Stream.runCollect(store.keys()), 40)
      })
  )

  it.effect("is waited for by draws at once, which request nothing", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryStore.make
      let isDown = true
      const slow = SampleStore.make({
        ...memory,
        put: (...args) =>
          Effect.suspend(() =>
            isDown
              ? Effect.fail(down)
              : Effect.andThen(Effect.replicateEffect(Effect.yieldNow, 20), memory.put(...args))
          )
      })
      const provider = yield* makeProvider()
      const cache = yield* Persistent.make(provider.model, slow)
      yield* Effect.exit(many(cache, 2))
      isDown = false
      const key = new Key.Key(cache.identity, "a", [])
      yield* Effect.all([cache.draw(key, 0, 1), cache.draw(key, 1, 1)], { concurrency: 2 })
      assert.deepStrictEqual(provider.requests, [2])
    }))

  it.effect("does not cost the samples of another prompt when the layer closes", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryStore.make
      let isDown = true
      const flaky = SampleStore.make({
        ...memory,
        put: (key, ...args) =>
          Effect.suspend(() => isDown || key.prompt === "a" ? Effect.fail(down) : memory.put(key, ...args))
      })
      const provider = yield* makeProvider()
      const { identity } = provider.model
      yield* Effect.scoped(Effect.gen(function*() {
        const cache = yield* Persistent.make(provider.model, flaky)
        yield* Effect.all(
          ["a", "b"].map((prompt) => Effect.exit(LlmModel.sampleOne(prompt).pipe(using(cache)))),
          { concurrency: 2 }
        )
        isDown = false
      }))
      assert.deepStrictEqual(yield* memory.positions(new Key.Key(identity, "b", [])), [0])
    }))

  it.effect("is stored at the latest when the layer closes", () =>
    Effect.gen(function*() {
      const { fault, flaky } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* Effect.scoped(Effect.gen(function*() {
        const persistent = yield* Persistent.make(provider.model, flaky)
        fault.is = "before"
        yield* Effect.exit(many(persistent, 2))
        fault.is = "none"
      }))
      const replica = yield* Persistent.make(provider.model, flaky, { replication: true })
      assert.deepStrictEqual(yield* many(replica, 2), ["a #0", "a #1"])
    }))

  it.effect("is counted by a log message if the store still fails then", () =>
    Effect.gen(function*() {
      const messages: Array<unknown> = []
      const logger = Logger.make(({ message }) => void messages.push(message))
      const { fault, flaky } = yield* makeFlaky
      const provider = yield* makeProvider()
      yield* Effect.scoped(Effect.gen(function*() {
        const persistent = yield* Persistent.make(provider.model, flaky)
        fault.is = "before"
        yield* Effect.exit(many(persistent, 2))
      })).pipe(Effect.provide(Logger.layer([logger])))
      assert.include(JSON.stringify(messages), "2 requested samples could not be stored")
    }))
})
