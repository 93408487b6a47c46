import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Zlib from "node:zlib"
import { makeServer, user } from "./support/server.ts"
import { makeUpstream, upstreams } from "./support/upstream.ts"

const listed = (ids: ReadonlyArray<string>) => ids.map((id) => ({ id, object: "model", created: 7, owned_by: "vllm" }))

const idsOf = ({ json }: { readonly json: any }) => json.data.map(({ id }: any) => id)

describe("the list of models", () => {
  it.live("is the upstream's, with the aliases before it and the models of the cache after it", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({
        ...upstreams(upstream.url),
        aliases: [{ alias: "fast", upstream: "test", model: "b" }]
      })
      yield* server.chat("", { model: "old", messages: user("p") })
      yield* server.chat("", { model: "b", messages: user("p") })
      upstream.models = { "/models": { object: "list", data: listed(["b", "c"]) } }
      const answer = yield* server.send("/run/r/independent/v1/models")
      assert.deepStrictEqual(idsOf(answer), ["fast", "b", "c", "old"])
      assert.strictEqual(answer.json.data[1].owned_by, "vllm")
      assert.deepStrictEqual(idsOf(yield* server.send("/replication/v1/models")).sort(), ["b", "fast", "old"])
      upstream.models = {}
      assert.deepStrictEqual(idsOf(yield* server.send("/v1/models")).sort(), ["b", "fast", "old"])
    }))

  it.live("has one model as the upstream tells it, or else as the cache has it", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      yield* server.chat("", { model: "b", messages: user("p") })
      assert.strictEqual((yield* server.send("/v1/models/b")).json.owned_by, "llm-cache")
      upstream.models = { "/models/b": listed(["b"])[0]! }
      assert.strictEqual((yield* server.send("/v1/models/b")).json.owned_by, "vllm")
      assert.strictEqual((yield* server.send("/v1/models/other")).status, 404)
    }))

  it.live("leaves the pages of an upstream as they are", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      yield* server.chat("", { model: "old", messages: user("p") })
      const page = { data: listed(["b"]), has_more: true, first_id: "b", last_id: "b" }
      upstream.models = { "/models?limit=1": page }
      assert.deepStrictEqual((yield* server.send("/v1/models?limit=1")).json, page)
    }))

  it.live("is the upstream's if it packs the list, and is the cache's if that is too long", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      yield* server.chat("", { model: "old", messages: user("p") })
      upstream.models = { "/models": Zlib.gzipSync(JSON.stringify({ data: listed(["b"]) })) }
      assert.deepStrictEqual(idsOf(yield* server.send("/v1/models")), ["b", "old"])
      upstream.models = { "/models": Zlib.gzipSync(JSON.stringify({ data: listed(["b"]) }).padEnd(33 * 1024 * 1024)) }
      assert.deepStrictEqual(idsOf(yield* server.send("/v1/models")), ["old"])
    }))
})
