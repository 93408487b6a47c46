import { assert, describe, it } from "@effect/vitest"
import { Fork, Independent, MemoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import { agent, agentProvider, agentRequests } from "./support/agent.ts"
import { makeAimock, overHttp, replicatedOverHttp } from "./support/http.ts"
import { cached, replayed } from "./support/scripted.ts"

describe("agents", () => {
  it.effect("record once and send nothing again: chats with tools at once, objects and streams", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const first = agentProvider()
      const output = yield* Effect.provide(agent, cached(first.layer, { store }))
      assert.strictEqual(first.requests.length, agentRequests)
      const second = agentProvider()
      assert.strictEqual(yield* Effect.provide(agent, cached(second.layer, { store })), output)
      assert.strictEqual(second.requests.length, 0)
      assert.strictEqual(yield* Effect.provide(agent, replayed(store)), output)
    }))

  it.effect("record over HTTP, and replay after the server has stopped", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const mock = yield* makeAimock
      const { url } = mock
      const output = yield* Effect.provide(agent, overHttp(url, { store }))
      assert.lengthOf(mock.getRequests(), agentRequests)
      yield* Effect.promise(() => mock.stop())
      assert.strictEqual(yield* Effect.provide(agent, overHttp(url, { store })), output)
      assert.strictEqual(yield* Effect.provide(agent, replicatedOverHttp({ store })), output)
    }).pipe(Effect.scoped))

  const times = Number(process.env["LLM_CACHE_AGENT_RUNS"] ?? 10)

  it.effect(`replay when ten run at once in forks, ${times} times`, () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const ten = Fork.forEach(Array.from({ length: 10 }), () => agent, { concurrency: 10 }).pipe(
        Effect.provide(Independent.layer)
      )
      const first = agentProvider()
      const outputs = yield* Effect.provide(ten, cached(first.layer, { store }))
      assert.strictEqual(new Set(outputs).size, 10)
      assert.strictEqual(first.requests.length, 10 * agentRequests)
      for (let i = 0; i < times; i++) assert.deepStrictEqual(yield* Effect.provide(ten, replayed(store)), outputs)
    }))
})
