import { assert, describe, it } from "@effect/vitest"
import { Upstream } from "@llm-cache/server"
import { Effect } from "effect"

describe("Upstream", () => {
  it.effect("reads NAME=URL, and knows Anthropic by its name or host", () =>
    Effect.gen(function*() {
      const openai = yield* Upstream.parse("openai=https://api.openai.com/v1/")
      assert.deepInclude(openai, { name: "openai", url: "https://api.openai.com/v1", api: "openai" })
      assert.strictEqual((yield* Upstream.parse("a=https://api.anthropic.com/v1")).api, "anthropic")
      for (const url of ["https://api.anthropic.com", "https://api.anthropic.com/", "https://api.anthropic.com/v1/"]) {
        assert.strictEqual((yield* Upstream.parse(`a=${url}`)).url, "https://api.anthropic.com/v1")
      }
      assert.strictEqual((yield* Upstream.parse("anthropic=http://a/v1beta")).url, "http://a/v1beta")
      assert.strictEqual((yield* Upstream.parse("local=http://127.0.0.1:1")).url, "http://127.0.0.1:1")
      assert.strictEqual((yield* Upstream.parse("anthropic=http://127.0.0.1:1")).api, "anthropic")
      assert.strictEqual((yield* Upstream.make({ name: "anthropic", url: "http://a", api: "openai" })).api, "openai")
    }))

  it.effect("reads ALIAS=UPSTREAM/MODEL", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Upstream.parseAlias("fast=openai/org/model=1"), {
        alias: "fast",
        upstream: "openai",
        model: "org/model=1"
      })
    }))

  it.effect("refuses what is neither, and quotes no password", () =>
    Effect.gen(function*() {
      const texts = [
        "openai",
        "=http://a",
        "a=ftp://a",
        "a=a",
        "a b=http://a",
        "a=http://user:secret@a",
        "a=http://a?k=secret",
        "https://user:secret@a"
      ]
      for (const text of texts) {
        const { message } = yield* Effect.flip(Upstream.parse(text))
        assert.include(message, "give")
        if (text.includes("secret@")) assert.notInclude(message, "secret")
      }
      for (const text of ["a", "a=b", "a=/b", "=a/b", "a=b/"]) {
        assert.include((yield* Effect.flip(Upstream.parseAlias(text))).message, "ALIAS=UPSTREAM/MODEL")
      }
      for (const fields of [{ maxBatch: 0 }, { inFlight: 0 }, { inFlight: NaN }]) {
        yield* Effect.flip(Upstream.make({ name: "a", url: "http://a", ...fields }))
      }
    }))

  it.effect("finds the upstream of a name: its alias, the first of the protocol, the first", () =>
    Effect.gen(function*() {
      const upstreams = [{ name: "openai", url: "http://o" }, { name: "anthropic", url: "http://a" }]
      const aliases = [{ alias: "fast", upstream: "anthropic", model: "haiku" }]
      const routes = yield* Upstream.makeRoutes(upstreams, aliases)
      const found = (name: string, api: Upstream.Api) => {
        const route = routes(name, api)
        return route && [route.upstream.name, route.model]
      }
      assert.deepStrictEqual(found("m", "openai"), ["openai", "m"])
      assert.deepStrictEqual(found("m", "anthropic"), ["anthropic", "m"])
      assert.deepStrictEqual(found("fast", "openai"), ["anthropic", "haiku"])
      const one = yield* Upstream.makeRoutes([upstreams[0]!])
      assert.strictEqual(one("m", "anthropic")?.upstream.name, "openai")
      assert.isUndefined((yield* Upstream.makeRoutes([]))("m", "openai"))
      const wrong = [
        Upstream.makeRoutes([upstreams[0]!, upstreams[0]!]),
        Upstream.makeRoutes([upstreams[0]!], aliases),
        Upstream.makeRoutes(upstreams, [...aliases, ...aliases])
      ]
      for (const routes of wrong) yield* Effect.flip(routes)
    }))
})
