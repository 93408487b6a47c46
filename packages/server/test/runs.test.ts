import { assert, describe, it } from "@effect/vitest"
import { MemoryStore } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import { type Client, makeDirectory, makeServer, user } from "./support/server.ts"
import { makeTraced } from "./support/traced.ts"
import { makeUpstream, upstreams } from "./support/upstream.ts"

describe("runs", () => {
  it.live("gives each draw of a run a new sample, and each run the same ones", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 0"])
      assert.deepStrictEqual(yield* server.texts("/run/a/independent", "p", 2), ["sample 1", "sample 2"])
      assert.deepStrictEqual(yield* server.texts("/run/b/independent", "p", 3), ["sample 0", "sample 1", "sample 2"])
      assert.deepStrictEqual(yield* server.texts(""), ["sample 0"])
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("repeats the draws of an attempt, and gives each attempt others", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const attempt = (name: string) => `/run/a/independent/repeatable/${name}`
      assert.deepStrictEqual(yield* server.texts(attempt("1")), ["sample 0"])
      assert.deepStrictEqual(yield* server.texts(attempt("1")), ["sample 0"])
      assert.deepStrictEqual(yield* server.texts(attempt("2"), "p", 2), ["sample 1", "sample 2"])
      assert.deepStrictEqual(yield* server.texts(attempt("1"), "p", 2), ["sample 0", "sample 3"])
      assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 4"])
    }))

  it.live("gives each fork sequences of its own, by path or by header", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const [a] = yield* server.texts("/fork/a/fork/b")
      const [c] = yield* server.texts("/run/r/independent/fork/c")
      const byHeader = yield* server.chat("/fork/a", { messages: user("p") }, { "llm-cache-place": "/fork/b" })
      assert.strictEqual(byHeader.json.choices[0].message.content, a)
      assert.notStrictEqual(a, c)
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("makes one run of two first requests", () =>
    Effect.gen(function*() {
      const { directory, options, store } = yield* makeTraced
      for (const expected of [["sample 0", "sample 1"], ["sample 2", "sample 3"]]) {
        const server = yield* makeServer(options, store)
        const texts = yield* Effect.all([server.texts("/run/a/independent"), server.texts("/run/a/independent")], {
          concurrency: 2
        })
        assert.deepStrictEqual(texts.flat().sort(), expected)
        assert.strictEqual((yield* server.runs.list).length, 1)
        yield* server.stop
      }
      // Each server has written one trace.
      assert.strictEqual(Fs.globSync(".runs/*.jsonl", { cwd: directory }).length, 2)
    }))

  it.live("begins, shows and ends runs, and a name can be used again", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const server = yield* makeServer({ ...upstreams(upstream.url), trace: { directory } })
      const begun = yield* server.send("/llm-cache/runs", { body: { name: "a b" } })
      assert.strictEqual(begun.status, 201)
      assert.strictEqual(begun.json.url, `${server.url}/run/a%20b`)
      assert.strictEqual((yield* server.send("/llm-cache/runs", { body: { name: "a b" } })).status, 409)
      assert.match((yield* server.send("/llm-cache/runs", { body: {} })).json.name, /^[0-9a-z]{12}$/)
      assert.strictEqual((yield* server.send("/llm-cache/runs", { body: { name: "" } })).status, 400)
      yield* server.texts("/run/a%20b/independent")
      const all = yield* server.send("/llm-cache/runs")
      assert.strictEqual(all.json.length, 2)
      assert.deepInclude((yield* server.send("/llm-cache/runs/a%20b")).json.receipt, { asked: 1, bought: 1 })
      const ended = yield* server.send("/llm-cache/runs/a%20b?exit=3", { method: "DELETE" })
      assert.deepInclude(ended.json.receipt, { asked: 1, bought: 1, exit: 3 })
      assert.strictEqual((yield* server.send("/llm-cache/runs/a%20b")).status, 404)
      assert.strictEqual((yield* server.send("/llm-cache/runs/a%20b", { method: "DELETE" })).status, 404)
      assert.deepStrictEqual(yield* server.texts("/run/a%20b/independent"), ["sample 0"])
      assert.deepInclude((yield* server.send("/llm-cache/runs/a%20b")).json.receipt, { replayed: 1, isReplay: true })
    }))

  it.live("shows the events of a run as they come, without texts", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      yield* server.send("/llm-cache/runs", { body: { name: "a" } })
      const heard = yield* Effect.callback<string>((resume) => {
        const { hostname, port } = new URL(server.url)
        const request = Http.get({ hostname, port, path: "/llm-cache/runs/a/events" }, (response) => {
          let text = ""
          response.on("data", (part) => {
            if (text === "") Effect.runFork(server.texts("/run/a/independent", "secret text"))
            text += part
            if (!text.includes("event: Stored")) return
            request.destroy()
            resume(Effect.succeed(text))
          })
        })
        return Effect.sync(() => request.destroy())
      })
      assert.include(heard, "event: RequestSent")
      assert.notInclude(heard, "secret text")
      assert.notInclude(heard, "sample 0")
    }))

  it.live("ends its streams of events when the server stops", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({ grace: "1 hour" })
      yield* server.send("/llm-cache/runs", { body: { name: "a" } })
      const stream = yield* Effect.forkChild(server.send("/llm-cache/runs/a/events"))
      yield* server.settle
      yield* server.stop
      assert.strictEqual((yield* Fiber.join(stream)).text, ": events\n\n")
    }))

  it.live("goes on behind its draws when the server restarts, in attempts and forks too", () =>
    Effect.gen(function*() {
      const { options, store } = yield* makeTraced
      const before = yield* makeServer(options, store)
      yield* before.texts("/run/a/independent")
      yield* before.texts("/run/a/independent/repeatable/x", "p", 2)
      const [forked] = yield* before.texts("/run/a/independent/fork/f")
      yield* before.stop
      const after = yield* makeServer(options, store)
      assert.deepStrictEqual(yield* after.texts("/run/a/independent/repeatable/x", "p", 2), ["sample 1", "sample 2"])
      assert.notStrictEqual((yield* after.texts("/run/a/independent/fork/f"))[0], forked)
      const [next] = yield* after.texts("/run/a/independent")
      assert.notInclude(["sample 0", "sample 1", "sample 2"], next)
      assert.deepStrictEqual(yield* after.texts("/run/b/independent"), ["sample 0"])
      // Again, over the traces of two servers.
      yield* after.stop
      const last = yield* makeServer(options, store)
      assert.notInclude(["sample 0", "sample 1", "sample 2", next], (yield* last.texts("/run/a/independent"))[0])
      yield* last.send("/llm-cache/runs/a", { method: "DELETE" })
      assert.deepStrictEqual(yield* last.texts("/run/a/independent"), ["sample 0"])
    }))

  it.live("goes on behind its draws of each model and prompt when the server restarts, whatever other runs drew", () =>
    Effect.gen(function*() {
      const { options, store } = yield* makeTraced
      const draw = (server: Client, run: string, model: string, prompt: string) =>
        Effect.map(
          server.chat(`/run/${run}/independent`, { model, messages: user(prompt) }),
          ({ headers, json }) => [headers["llm-cache-positions"], json.choices[0].message.content]
        )
      // The traces of both have one name of a file.
      const [a, b] = ["a%20b", "a_20b"]
      const before = yield* makeServer(options, store)
      const [first] = [yield* draw(before, a, "m", "p"), yield* draw(before, a, "m", "p")]
      const other = yield* draw(before, b, "n", "p")
      yield* draw(before, b, "m", "q")
      yield* before.stop
      const after = yield* makeServer(options, store)
      assert.deepStrictEqual(yield* draw(after, a, "n", "p"), other)
      assert.strictEqual((yield* draw(after, a, "m", "p"))[0], "2")
      assert.strictEqual((yield* draw(after, a, "m", "q"))[0], "0")
      assert.strictEqual((yield* draw(after, b, "n", "p"))[0], "1")
      assert.deepStrictEqual(yield* draw(after, b, "m", "p"), first)
    }))

  it.live("has 1,000 runs of 1 attempt each, and gives their memory back", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url), MemoryStore.layer)
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => i),
        (i) => server.texts(`/run/${i}/independent/repeatable/x`),
        { concurrency: 8 }
      )
      assert.strictEqual((yield* server.runs.list).length, 1000)
      yield* Effect.forEach(yield* server.runs.list, ({ name }) => server.runs.end(name))
      assert.strictEqual((yield* server.runs.list).length, 0)
      assert.strictEqual(upstream.received.length, 1)
    }))
})
