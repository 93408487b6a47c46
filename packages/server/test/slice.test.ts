import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { MemoryStore, SampleStore } from "@llm-cache/core"
import { Server } from "@llm-cache/server"
import { Effect, Layer, Stream } from "effect"
import { makeServer, user } from "./support/server.ts"
import { makeUpstream, upstreams } from "./support/upstream.ts"

/** The texts in a store, by prompt and fork, at their positions. */
const contents = (store: SampleStore.Store) =>
  Effect.gen(function*() {
    const all: Record<string, Array<string | undefined>> = {}
    const keys = yield* Stream.runCollect(store.keys())
    for (const listed of keys) {
      const { key } = yield* Effect.fromResult(listed)
      const texts: Array<string | undefined> = []
      for (let i = 0; i < 10; i++) texts.push((yield* store.get(key, i))?.text)
      all[[key.prompt, ...key.path].join("/")] = texts.slice(0, texts.findLastIndex((text) => text !== undefined) + 1)
    }
    return all
  })

describe("a slice", () => {
  it.live("has exactly the samples that clients draw, at their positions", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const [big, slice] = [yield* MemoryStore.make, yield* MemoryStore.make]
      const store = Layer.succeed(SampleStore.SampleStore, big)
      const recording = yield* makeServer(upstreams(upstream.url), store)
      yield* recording.texts("", "p", 5)
      yield* recording.texts("", "unused", 2)
      yield* recording.texts("", "known", 2)
      yield* recording.stop
      const server = yield* makeServer({ ...upstreams(upstream.url), slice }, store)
      assert.deepStrictEqual(yield* server.texts("/run/a/independent", "p", 2), ["sample 0", "sample 1"])
      assert.deepStrictEqual(yield* server.texts("/run/a/independent/repeatable/x", "p"), ["sample 2"])
      const mixed = yield* server.chat("", { messages: user("known"), n: 3 })
      assert.strictEqual(mixed.headers["cache-status"], "llm-cache; fwd=partial; stored")
      yield* server.texts("", "p", 6)
      const [forked] = yield* server.texts("/fork/f", "p")
      assert.strictEqual((yield* server.chat("/replication", { messages: user("other") })).status, 404)
      assert.deepStrictEqual(yield* contents(slice), {
        p: ["sample 0", "sample 1", "sample 2", "sample 3", "sample 4", "sample 10"],
        known: ["sample 7", "sample 8", "sample 9"],
        "p/f": [forked]
      })
      const before = upstream.received.length
      const replica = yield* makeServer({ replication: true }, Layer.succeed(SampleStore.SampleStore, slice))
      assert.deepStrictEqual(yield* replica.texts("/run/b/independent", "p", 3), ["sample 0", "sample 1", "sample 2"])
      assert.strictEqual(upstream.received.length, before)
    }))

  it.live("is not the cache itself", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const made = Server.make({ slice: store, trace: false }).pipe(
        Effect.provideService(SampleStore.SampleStore, store)
      )
      const error = yield* Effect.flip(Effect.provide(Effect.scoped(made), NodeHttpClient.layerUndici))
      assert.include(error.message, "the cache itself")
    }))
})
