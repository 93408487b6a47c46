import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import * as Crypto from "node:crypto"
import { type Client, makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, type Reply, upstreams } from "./support/upstream.ts"

const isInput = (input: unknown) => typeof input === "string" || (Array.isArray(input) && typeof input[0] === "number")

/** Floats of 32 bits that depend on the input. */
const vectorOf = (input: unknown): ReadonlyArray<number> => {
  const bytes = Crypto.createHash("sha256").update(JSON.stringify(input)).digest()
  return [-0, 1e-30, ...[...bytes].map((byte) => Math.fround((byte - 127) / 300))]
}

const base64Of = (vector: ReadonlyArray<number>) => Buffer.from(new Float32Array(vector).buffer).toString("base64")

const reply: Reply = (response, { body }) => {
  const inputs: ReadonlyArray<unknown> = isInput(body.input) ? [body.input] : body.input
  const vectors = inputs.map(vectorOf)
  json(
    response,
    `{"object":"list","model":"m-1","usage":{"prompt_tokens":${10 * inputs.length},"total_tokens":1},"data":[${
      // Out of order.
      vectors.map((vector, index) => {
        const floats = `[${vector.map((value) => Object.is(value, -0) ? "-0.0" : String(value)).join()}]`
        const embedding = body.encoding_format === "base64" ? JSON.stringify(base64Of(vector)) : floats
        return `{"object":"embedding","index":${index},"embedding":${embedding}}`
      }).toReversed().join()}]}`
  )
}

const ask = (server: Client, body: object, place = "") =>
  server.send(`${place}/v1/embeddings`, { body: { model: "m", ...body } })

const embeddingsOf = ({ json, text }: { readonly json: any; readonly text: string }): ReadonlyArray<any> => {
  if (json?.data === undefined) throw new Error(text)
  return json.data.map(({ embedding }: { embedding: unknown }) => embedding)
}

describe("embeddings", () => {
  for (const first of ["float", "base64"]) {
    it.live(`are exact in both encodings, asked for as ${first} first`, () =>
      Effect.gen(function*() {
        const upstream = yield* makeUpstream(reply)
        const server = yield* makeServer(upstreams(upstream.url))
        const cold = yield* ask(server, { input: "a", encoding_format: first })
        const [floats, packed] = [
          yield* ask(server, { input: "a" }),
          yield* ask(server, { input: "a", encoding_format: "base64" })
        ]
        const [vector] = embeddingsOf(floats)
        assert.isTrue(vector.every((value: number, i: number) => Math.fround(value) === Math.fround(vectorOf("a")[i]!)))
        assert.isTrue(Object.is(vector[0], -0))
        assert.deepStrictEqual(embeddingsOf(packed), [base64Of(vectorOf("a"))])
        assert.strictEqual(cold.text, (first === "float" ? floats : packed).text)
        assert.deepInclude(floats.json, { object: "list", model: "m-1" })
        assert.deepInclude(floats.json.data[0], { object: "embedding", index: 0 })
        assert.strictEqual(upstream.received.length, 1)
      }))
  }

  it.live("request only the inputs that are missing, at once, each of them once", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(reply)
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      yield* ask(server, { input: "b" })
      const inputs = ["a", "b", "c", "a", ...Array.from({ length: 100 }, (_, i) => `input ${i}`)]
      const cold = yield* ask(server, { input: inputs })
      assert.deepStrictEqual(embeddingsOf(cold), inputs.map(vectorOf))
      assert.strictEqual(cold.headers["cache-status"], "llm-cache; fwd=partial; stored")
      assert.deepStrictEqual(upstream.received.map(({ body }) => [body.input].flat().map(String).toSorted()), [
        ["b"],
        [...new Set(inputs)].filter((input) => input !== "b").toSorted()
      ])
      const warm = yield* ask(server, { input: inputs })
      assert.strictEqual(warm.text, cold.text)
      assert.strictEqual(warm.headers["cache-status"], "llm-cache; hit")
      assert.deepStrictEqual(warm.json.usage, { prompt_tokens: 1030, total_tokens: 1030 })
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("are the same in every place, and no answers to a user", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(reply)
      const server = yield* makeServer(upstreams(upstream.url))
      for (const place of ["", "/fork/f", "/run/a/independent", "/run/a/independent/repeatable/x", "/replication"]) {
        assert.deepStrictEqual(embeddingsOf(yield* ask(server, { input: "a" }, place)), [vectorOf("a")])
      }
      assert.strictEqual(upstream.received.length, 1)
      const tokens = yield* ask(server, { input: [1, 2] })
      assert.deepStrictEqual(embeddingsOf(tokens), [vectorOf([1, 2])])
      assert.deepStrictEqual(embeddingsOf(yield* ask(server, { input: "[1,2]" })), [vectorOf("[1,2]")])
      assert.deepStrictEqual(embeddingsOf(yield* ask(server, { input: [[1, 2], [3]] })), [[1, 2], [3]].map(vectorOf))
      for (const fields of [{ dimensions: 3 }, { input_type: "query" }]) yield* ask(server, { input: "a", ...fields })
      assert.deepInclude(upstream.received.at(-1)!.body, { model: "m", input: "a", input_type: "query" })
      assert.strictEqual(upstream.received.length, 6)
      for (const text of ["a", "\"a\""]) {
        assert.strictEqual((yield* server.chat("/replication", { messages: user(text) })).status, 404)
      }
    }))

  it.live("missing in replication are a 404, and bad requests a 400", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(reply)
      const server = yield* makeServer(upstreams(upstream.url))
      yield* ask(server, { input: "a" })
      const missed = yield* ask(server, { input: ["a", "b"] }, "/replication")
      assert.strictEqual(missed.status, 404)
      assert.strictEqual(missed.json.error.code, "replication_cache_miss")
      for (const input of [undefined, 5, [], [[]], ["a", 1], ["\uD800"]]) {
        assert.strictEqual((yield* ask(server, { input })).status, 400)
      }
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("that are no vectors fail, and are not stored", () =>
    Effect.gen(function*() {
      const bad = [
        { data: [] },
        { data: [{ index: 0, embedding: "AAAA" }] },
        { data: [{ index: 0, embedding: base64Of([NaN]) }] },
        { data: [{ index: 0, embedding: [] }] },
        { data: [{ index: 1, embedding: [1] }] }
      ]
      const upstream = yield* makeUpstream((response, _, i) => json(response, bad[i]))
      const server = yield* makeServer(upstreams(upstream.url))
      for (const _ of bad) assert.strictEqual((yield* ask(server, { input: "a" })).status, 502)
      assert.strictEqual(upstream.received.length, bad.length)
    }))
})
