import { assert, describe, it } from "@effect/vitest"
import { Independent, Key, LlmModel, MemoryStore, Persistent, Trace } from "@llm-cache/core"
import { Effect, Stream } from "effect"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { Delivery } from "../src/internal/delivery.ts"
import { Races } from "../src/internal/races.ts"
import { makeDirectory } from "./support/server.ts"

/** The response of a client that has left. */
const left = Effect.promise(async () => {
  const response = new Http.ServerResponse(new Http.IncomingMessage(new Net.Socket()))
  const closed = once(response, "close")
  response.destroy()
  await closed
  return response
})

const makeDelivery = Effect.gen(function*() {
  let count = 0
  const provider = yield* LlmModel.make({
    model: "m",
    generate: ({ n }) => Effect.sync(() => ({ samples: Array.from({ length: n }, () => `sample ${count++}`) }))
  })
  const model = yield* Independent.make(yield* Persistent.make(provider, yield* MemoryStore.make))
  const key = new Key.Key(model.identity, "p", [])
  const trace = yield* Trace.make({ directory: yield* makeDirectory })
  const races = new Races()
  const deliver = (n = 1) => new Delivery({ model, key, n, trace, place: "/independent", racer: races.begin(key) })
  const draw = (delivery: Delivery) => Effect.map(delivery.draw, ({ samples }) => samples.map(({ text }) => text))
  return { deliver, draw, key, races, trace }
})

describe("a delivery", () => {
  it.live("gives its samples back to the next one, once, however often it is told to", () =>
    Effect.gen(function*() {
      const { deliver, draw } = yield* makeDelivery
      const first = deliver()
      assert.deepStrictEqual(yield* draw(first), ["sample 0"])
      yield* first.giveBack
      assert.deepStrictEqual(yield* draw(deliver()), ["sample 0"])
      yield* first.giveBack
      assert.deepStrictEqual(yield* draw(deliver()), ["sample 1"])
    }))

  it.live("to a client that had left before it began gives its samples back, and races with no other", () =>
    Effect.gen(function*() {
      const { deliver, draw, key, races } = yield* makeDelivery
      const first = deliver()
      yield* draw(first)
      first.watch(yield* left)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.isFalse(races.begin(key).draw())
      assert.deepStrictEqual(yield* draw(deliver()), ["sample 0"])
    }))

  it.live("notes in the trace what was asked, given and given back", () =>
    Effect.gen(function*() {
      const { deliver, draw, trace } = yield* makeDelivery
      const delivery = deliver(3)
      yield* draw(delivery)
      yield* delivery.giveBack
      const notes = yield* Stream.runCollect(Trace.read(trace.run.file))
      const told = notes.flatMap((note): ReadonlyArray<unknown> =>
        note.type === "ask"
          ? [`ask ${note.n}`]
          : note.type === "given" || note.type === "returned"
          ? [`${note.type} ${note.positions}`]
          : []
      )
      assert.deepStrictEqual(told, ["ask 3", "given 0,1,2", "returned 0,1,2"])
    }))
})
