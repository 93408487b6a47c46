import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Redacted } from "effect"
import { environmentFor } from "../src/server/environment.ts"
import { serverOptions } from "../src/server/flags.ts"

const none = Option.none()

/** The upstreams that flags and variables lead to. */
const upstreamsOf = (
  env: Record<string, string>,
  flags: { readonly upstream?: ReadonlyArray<string>; readonly keyFrom?: ReadonlyArray<string> } = {}
) =>
  serverOptions({
    upstream: [],
    alias: [],
    keyFrom: [],
    replication: false,
    refuse: [],
    inFlight: none,
    timeout: none,
    lease: none,
    grace: none,
    ...flags
  }).pipe(
    Effect.map(({ upstreams }) =>
      upstreams.map(({ api, key, name, url }) => [name, api, url, key && Redacted.value(key)])
    ),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )

describe("the upstreams of a server", () => {
  it.effect("are those of the vendors, or the ones that their clients would ask", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* upstreamsOf({}), [
        ["openai", "openai", "https://api.openai.com/v1", undefined],
        ["anthropic", "anthropic", "https://api.anthropic.com/v1", undefined]
      ])
      const env = { OPENAI_BASE_URL: "https://api.anthropic.com/v1", ANTHROPIC_BASE_URL: "http://a.example/claude/" }
      assert.deepStrictEqual(yield* upstreamsOf(env), [
        ["openai", "openai", "https://api.anthropic.com/v1", undefined],
        ["anthropic", "anthropic", "http://a.example/claude/v1", undefined]
      ])
      assert.deepStrictEqual(yield* upstreamsOf(env, { upstream: ["http://b.example/v1"] }), [
        ["upstream", "openai", "http://b.example/v1", undefined]
      ])
    }))

  it.effect("have a key without a name if one vendor is in use", () =>
    Effect.gen(function*() {
      const keysOf = (env: Record<string, string>, ...keyFrom: ReadonlyArray<string>) =>
        Effect.map(
          upstreamsOf({ MINE: "mine", OTHER: "other", ...env }, { keyFrom }),
          (upstreams) => upstreams.map(([, , , key]) => key)
        )
      assert.deepStrictEqual(yield* keysOf({}, "MINE"), ["mine", undefined])
      assert.deepStrictEqual(yield* keysOf({ OPENAI_API_KEY: "k" }, "MINE"), ["mine", undefined])
      assert.deepStrictEqual(yield* keysOf({ ANTHROPIC_API_KEY: "k" }, "MINE"), [undefined, "mine"])
      assert.deepStrictEqual(yield* keysOf({ ANTHROPIC_AUTH_TOKEN: "k" }, "openai=MINE"), ["mine", undefined])
      const both = { OPENAI_API_KEY: "k", ANTHROPIC_API_KEY: "k" }
      assert.deepStrictEqual(yield* keysOf(both, "openai=MINE", "anthropic=OTHER"), ["mine", "other"])
      const { message } = yield* Effect.flip(keysOf(both, "MINE"))
      assert.include(message, "--key-from openai=VARIABLE")
    }))
})

describe("the environment of a program", () => {
  const root = "http://127.0.0.1:1/run/r"

  it("leads clients of Anthropic to the run, with `/v1` left to them", () => {
    const env = environmentFor({ ANTHROPIC_BASE_URL: "https://api.anthropic.com" }, { root, keyless: [] })
    assert.strictEqual(env["ANTHROPIC_BASE_URL"], `${root}/independent`)
    assert.strictEqual(env["OPENAI_BASE_URL"], `${root}/independent/v1`)
    assert.notProperty(env, "ANTHROPIC_API_KEY")
  })

  it("has a key where clients need none of their own", () => {
    const keyOf = (env: NodeJS.ProcessEnv) => environmentFor(env, { root, keyless: ["anthropic"] })["ANTHROPIC_API_KEY"]
    assert.strictEqual(keyOf({}), "llm-cache")
    assert.strictEqual(keyOf({ ANTHROPIC_API_KEY: "mine" }), "mine")
    assert.isUndefined(keyOf({ ANTHROPIC_AUTH_TOKEN: "mine" }))
    assert.notProperty(environmentFor({}, { root, keyless: ["anthropic"] }), "OPENAI_API_KEY")
  })
})
