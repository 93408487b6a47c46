import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allProtocols } from "./support/protocols.ts"
import { makeServer } from "./support/server.ts"
import { json, makeUpstream, upstreams } from "./support/upstream.ts"

const shared = { stream: false, metadata: {}, stop: null, tools: [] }

const defaults: { readonly [protocol: string]: object } = {
  "chat completions": { ...shared, n: 1, functions: [], logprobs: false },
  responses: { ...shared, include: [] },
  messages: { ...shared, mcp_servers: [] },
  completions: { ...shared, n: 1 }
}

describe.each(allProtocols)("a request of $name", ({ answer, body, name, path, textOf }) => {
  it.live("that says what is the default shares its samples with one that leaves it out", () =>
    Effect.gen(function*() {
      let count = 0
      const upstream = yield* makeUpstream((response) => json(response, answer(`sample ${count++}`)))
      const server = yield* makeServer(upstreams(upstream.url))
      const plain = yield* server.send(path, { body: body("p") })
      for (const [field, value] of Object.entries(defaults[name]!)) {
        const given = yield* server.send(path, { body: { ...body("p"), [field]: value } })
        assert.strictEqual(given.status, 200, given.text)
        assert.strictEqual(textOf(given.json), textOf(plain.json), `${field}: ${JSON.stringify(value)}`)
        assert.strictEqual(given.headers["llm-cache-prompt"], plain.headers["llm-cache-prompt"], field)
      }
      assert.strictEqual(upstream.received.length, 1)
      const other = yield* server.send(path, { body: { ...body("p"), seed: 1 } })
      assert.notStrictEqual(textOf(other.json), textOf(plain.json))
    }))
})
