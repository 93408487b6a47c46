import { assert, describe, it } from "@effect/vitest"
import type { Store } from "@llm-cache/core/SampleStore"
import { RedisStore } from "@llm-cache/redis"
import { PgStore } from "@llm-cache/sql"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Path from "node:path"
import { afterAll } from "vitest"
import { example, makeCache } from "./support/caches.ts"
import { cli, objects, temporaryFolder } from "./support/cli.ts"

const folder = temporaryFolder()
const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"
const prefix = `cli_${crypto.randomUUID().slice(0, 8)}`

describe.each([
  ["PostgreSQL", "LLM_CACHE_TEST_POSTGRES", (url: string) => PgStore.make({ url, prefix })],
  ["Redis", "LLM_CACHE_TEST_REDIS", (url: string) => RedisStore.make({ url, prefix })]
])("a cache in %s", (_, variable, make) => {
  const server = process.env[variable]

  it("is tested if LLM_CACHE_REQUIRE_SERVERS is set", () => {
    assert.isFalse(isRequired && server === undefined, `${variable} names no server`)
  })

  const why = server === undefined ? ` (skipped: ${variable} names no server)` : ""
  describe.skipIf(server === undefined)(`named by its URL${why}`, () => {
    const cache = `${server}#${prefix}`

    afterAll(() => Effect.runPromise(Effect.scoped(Effect.flatMap(make(server!), removeAll))))

    it("can be read, copied to, compared, verified and pruned", async () => {
      const source = Path.join(folder, variable)
      await makeCache(source, example)
      const empty = await cli(["ls", "--cache", cache])
      assert.deepStrictEqual([empty.code, empty.stdout], [0, ""])
      const copied = await cli(["copy", source, cache, "--json"])
      assert.deepInclude(objects(copied.stdout)[0], { copied: 9 })
      assert.strictEqual((await cli(["diff", source, cache])).code, 0)
      const verified = await cli(["verify", "--cache", cache, "--json"])
      assert.deepStrictEqual(objects(verified.stdout), [{ kind: "summary", samples: 9, damaged: 0 }])
      const listed = objects((await cli(["ls", "--cache", cache, "--json"])).stdout)
      assert.deepStrictEqual(listed.map(({ model, samples }) => [model, samples]), [
        ["gpt-4o", 7],
        ["meta-llama/Llama-3.1-8B-Instruct", 2]
      ])
      const shown = objects((await cli(["show", "meta*", "@1", "--cache", cache, "--json"])).stdout)
      assert.deepStrictEqual(shown.map(({ text }) => text), ["No"])
      await cli(["prune", "gpt-4o", "--yes", "--cache", cache])
      assert.lengthOf(objects((await cli(["ls", "--cache", cache, "--json"])).stdout), 1)
    }, 60_000)

    it("is told from the caches with other prefixes", async () => {
      const { code, stdout } = await cli(["ls", "--cache", `${cache}_other`])
      assert.deepStrictEqual([code, stdout], [0, ""])
    })
  })
})

const removeAll = (store: Store) =>
  Stream.runForEach(
    Stream.mapEffect(store.keys(), Effect.fromResult),
    ({ key }) =>
      Effect.flatMap(store.positions(key), ([first, ...others]) =>
        first === undefined ? Effect.void : store.remove(key, [first, ...others]))
  )
