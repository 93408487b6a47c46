import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect, Exit } from "effect"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { makeDirectory, makeServer, send, user } from "./support/server.ts"
import { makeUpstream } from "./support/upstream.ts"

const kills = Number(process.env["LLM_CACHE_KILLS"] ?? 3)

const startProcess = (upstream: string, directory: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly kill: () => void }>((resume) => {
      const script = Path.join(import.meta.dirname, "support/serverProcess.ts")
      const child = ChildProcess.spawn(process.execPath, [script, upstream, directory], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      child.stdout.once("data", (url) =>
        resume(Effect.succeed({ url: String(url).trim(), kill: () => void child.kill("SIGKILL") })))
    }),
    ({ kill }) =>
      Effect.sync(kill)
  )

describe("a server that is killed", () => {
  it.live("hands no draw of a run out twice, and has stored all that a client has seen", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const seen: Array<{ readonly position: number; readonly text: string }> = []
      for (let i = 0; i < kills; i++) {
        const { kill, url } = yield* startProcess(upstream.url, directory)
        const before = seen.length
        const client = Effect.whileLoop({
          while: () => true,
          body: () =>
            Effect.map(
              send(url, "/run/a/independent/v1/chat/completions", { body: { model: "m", messages: user("p") } }),
              ({ headers, json }) => {
                seen.push({
                  position: Number(headers["llm-cache-positions"]),
                  text: json.choices[0].message.content
                })
                if (seen.length === before + 7 + i) kill()
              }
            ),
          step: () => {}
        })
        // Each ends when its connection breaks.
        const ends = yield* Effect.all([Effect.exit(client), Effect.exit(client), Effect.exit(client)], {
          concurrency: 3
        })
        for (const end of ends) assert.isTrue(Exit.isFailure(end))
      }
      assert.isAtLeast(seen.length, 7 * kills)
      assert.strictEqual(new Set(seen.map(({ position }) => position)).size, seen.length)
      assert.strictEqual(new Set(seen.map(({ text }) => text)).size, seen.length)
      const last = yield* makeServer({ replication: true }, DirectoryStore.layer(directory))
      const all = yield* last.texts("", "p", Math.max(...seen.map(({ position }) => position)) + 1)
      for (const { position, text } of seen) assert.strictEqual(all[position], text)
    }))
})
