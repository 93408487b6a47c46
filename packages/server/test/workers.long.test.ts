import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { makeDirectory, makeServer } from "./support/server.ts"
import { makeUpstream, numbered } from "./support/upstream.ts"

const script = Path.join(import.meta.dirname, "support/worker.mjs")
const workers = [0, 1, 2, 3]
const draws = 5
const runs = Array.from({ length: 20 }, (_, i) => `run-${i}`)

/** The draws of a worker in a process of its own, by run. */
const work = (urls: ReadonlyArray<string>) =>
  Effect.callback<ReadonlyArray<ReadonlyArray<string>>>((resume) => {
    const child = ChildProcess.execFile(
      process.execPath,
      [script, String(draws), ...urls],
      (error, stdout) => resume(error === null ? Effect.succeed(JSON.parse(stdout)) : Effect.die(error))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** The draws of the workers in each run, and its receipt. */
const runAll = (placeOf: (run: string, worker: number) => string) =>
  Effect.gen(function*() {
    const reply = numbered()
    const upstream = yield* makeUpstream((...args) => void setTimeout(() => reply(...args), 2))
    const directory = yield* makeDirectory
    const server = yield* makeServer(
      { upstreams: [{ name: "test", url: upstream.url }], trace: { directory } },
      DirectoryStore.layer(directory)
    )
    const all = yield* Effect.forEach(
      workers,
      (worker) => work(runs.map((run) => server.url + placeOf(run, worker))),
      { concurrency: "unbounded" }
    )
    return yield* Effect.forEach(runs, (run, i) =>
      Effect.map(server.send(`/llm-cache/runs/${run}`, { method: "DELETE" }), ({ json }) => ({
        drawn: all.map((drawn) =>
          drawn[i]!
        ),
        receipt: json.receipt
      })))
  })

describe("four processes of a program, in 20 runs with random pauses", () => {
  it.live("get equal samples if each has a fork", () =>
    Effect.gen(function*() {
      const all = yield* runAll((run, worker) => `/run/${run}/independent/fork/worker-${worker}`)
      const { drawn: first } = all[0]!
      assert.strictEqual(new Set(first.flat()).size, workers.length * draws)
      for (const [i, { drawn, receipt }] of all.entries()) {
        assert.deepStrictEqual(drawn, first)
        assert.deepInclude(receipt, { asked: workers.length * draws, racing: 0, isReplay: i > 0 })
      }
    }))

  it.live("get the same samples in some order without forks, and the receipts tell of races", () =>
    Effect.gen(function*() {
      const all = yield* runAll((run) => `/run/${run}/independent`)
      const sorted = all[0]!.drawn.flat().sort()
      assert.strictEqual(new Set(sorted).size, workers.length * draws)
      for (const { drawn, receipt } of all) {
        assert.deepStrictEqual(drawn.flat().sort(), sorted)
        assert.strictEqual(receipt.isReplay, receipt.bought === 0 && receipt.racing === 0)
      }
      assert.isAbove(all[0]!.receipt.racing, 0)
    }))
})
