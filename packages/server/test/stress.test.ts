import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Identity, Key } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { open, until } from "./support/open.ts"
import { makeDirectory, makeServer, send, user } from "./support/server.ts"
import { chunks, makeUpstream, message, startStream, upstreams } from "./support/upstream.ts"

describe("a server under stress", () => {
  it.effect("keeps a long request alive with a comment every 10 seconds", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const release = upstream.hold()
      const opening = yield* Effect.forkChild(open(server.url, "/v1/chat/completions", { stream: true }))
      yield* upstream.until(1)
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(opening.pollUnsafe())
      yield* TestClock.adjust("1 seconds")
      const { response, text } = yield* Fiber.join(opening)
      const comment = ": keep-alive\n\n"
      yield* until(response, () => text() === comment)
      yield* TestClock.adjust("10 seconds")
      yield* until(response, () => text() === comment.repeat(2))
      release()
      yield* until(response, () => text().includes("[DONE]"))
      assert.include(text(), "sample")
    }))

  it.live("keeps connections longer than its clients do", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const { headers } = yield* send(server.url, "/health", { headers: { connection: "keep-alive" } })
      assert.strictEqual(headers["keep-alive"], "timeout=120")
    }))

  it.live("takes every name, or says that it does not, and writes beneath its folder alone", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const above = yield* makeDirectory
      const directory = Path.join(above, "cache")
      const server = yield* makeServer(
        { ...upstreams(upstream.url), trace: { directory } },
        DirectoryStore.layer(directory)
      )
      const names = ["..", ".", "a%2fb", "..%2f..%2fb", "%00", "v1", "run", "independent", "CON", "a.", "%F0%9F%98%80"]
      const tooLong = ["x".repeat(201), "%F0%9F%98%80".repeat(51), "x".repeat(300)]
      const texts = new Map<string, string>()
      for (const name of [...names, ...tooLong]) {
        for (const place of [`/fork/${name}`, `/run/${name}/independent`, `/run/r/independent/repeatable/${name}`]) {
          const answer = yield* server.chat(place, { messages: user("p") })
          const isRefused = tooLong.includes(name) || (place.startsWith("/fork") && answer.status === 400)
          assert.strictEqual(answer.status, isRefused ? 400 : 200, `${place}: ${answer.text}`)
          if (isRefused) assert.isString(answer.json.error.message)
          else texts.set(place, answer.json.choices[0].message.content)
        }
      }
      // Forks and attempts have samples of their own, and each run begins with the first one.
      for (const kind of ["/fork", "/run/r/"]) {
        const all = [...texts].filter(([place]) => place.startsWith(kind)).map(([, text]) => text)
        assert.strictEqual(new Set(all).size, all.length)
        assert.isAtLeast(all.length, kind === "/fork" ? 3 : names.length)
      }
      const model = yield* server.chat("", { model: "../../m", messages: user("p") })
      assert.strictEqual(model.status, 400)
      assert.deepStrictEqual(Fs.readdirSync(above), ["cache"])
    }))

  it.live("buys a sample again that was pruned during a run, and the run goes on", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const server = yield* makeServer(
        { ...upstreams(upstream.url), trace: { directory } },
        DirectoryStore.layer(directory)
      )
      yield* server.texts("/run/a/independent", "p", 2)
      yield* server.texts("/run/a/independent/repeatable/x")
      const other = yield* DirectoryStore.make(directory)
      yield* other.remove(new Key.Key(yield* Identity.make({ model: "m" }), "p", []), [0, 1, 2])
      assert.deepStrictEqual(yield* server.texts("/run/a/independent/repeatable/x"), ["sample 2"])
      assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 3"])
      assert.deepStrictEqual(yield* server.texts("/run/b/independent", "p", 4), [
        "sample 4",
        "sample 5",
        "sample 6",
        "sample 3"
      ])
    }))

  it.live("keeps characters that come in halves, and tells a half as the mark of a broken one", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      upstream.reply = (response) => {
        startStream(response)
        const bytes = Buffer.from(chunks([{ content: "a\ud83d" }, { content: "\ude00\u{1F469}\r\n" }]).join(""))
        const write = (at: number): unknown =>
          at >= bytes.length
            ? response.end()
            : response.write(bytes.subarray(at, at + 7), () => setImmediate(() => write(at + 7)))
        write(0)
      }
      const cold = yield* server.chat("", { messages: user("p"), stream: true })
      assert.include(cold.text, "[DONE]")
      assert.deepStrictEqual(yield* server.texts(""), ["a\u{1F600}\u{1F469}\r\n"])
      upstream.reply = message({ content: "half \ud83d of one" })
      const first = yield* server.chat("", { messages: user("q") })
      const again = yield* server.chat("", { messages: user("q") })
      assert.strictEqual(again.text, first.text)
    }))
})
