import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Identity, Key, Trace } from "@llm-cache/core"
import { Inspector } from "@llm-cache/inspector"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { hashOf } from "./support/example.ts"
import { makeDirectory } from "./support/pages.ts"

describe("The pages in an HttpRouter of a program", () => {
  it.live("have runs with long names, long forks and long models, and no other paths", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const fork = "worker/".repeat(60)
      const id = yield* Effect.scoped(Effect.gen(function*() {
        const { listener, run } = yield* Trace.make({ directory, name: "a name of a run, ".repeat(20) })
        const key = new Key.Key(yield* Identity.make({ model: "m".repeat(150) }), "p", [fork])
        listener({ _tag: "Miss", key, position: 0, store: "s", asks: "nothing" })
        return run.id
      }))
      assert.isAbove(encodeURIComponent(id).length, 100)
      const { dispose, handler } = HttpRouter.toWebHandler(
        Inspector.layer({ directory, path: "/pages" }).pipe(
          Layer.provide(DirectoryStore.layer(directory)),
          Layer.orDie
        ),
        { disableLogger: true }
      )
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const get = (path: string) =>
        Effect.promise(async () => {
          const response = await handler(new Request(`http://localhost/pages${path}`))
          return [response.status, await response.text()] as const
        })
      const run = `/runs/${encodeURIComponent(id)}`
      for (
        const path of [
          "",
          "/runs",
          "/runs/",
          "/runs.json",
          run,
          `${run}.md`,
          `/${run}.json`,
          `${run}?fork=${encodeURIComponent(fork.replaceAll("/", "%2F"))}`,
          `${run}/misses/0.json`,
          `/prompts/${hashOf("p")}?run=${encodeURIComponent(id)}`,
          "/cache"
        ]
      ) {
        const [status, text] = yield* get(path)
        assert.strictEqual(status, 200, `${path}: ${text}`)
        if (path.endsWith(`${run}.json`)) assert.strictEqual(JSON.parse(text).id, id)
      }
      const [, filtered] = yield* get(`${run}.json?fork=${encodeURIComponent(fork.replaceAll("/", "%2F"))}`)
      assert.strictEqual(JSON.parse(filtered).total, 1)
      for (
        const path of [
          `/runs/${"x".repeat(5000)}`,
          `${run}/other`,
          `${run}/misses/0/1`,
          `${run}/pages${run}`,
          "/runs/%E0%A4%A",
          "/prompts",
          `/prompts/${hashOf("p")}/1?run=${encodeURIComponent(id)}`
        ]
      ) {
        const [status] = yield* get(path)
        assert.strictEqual(status, 404, path)
      }
    }).pipe(Effect.scoped, Effect.orDie))
})
