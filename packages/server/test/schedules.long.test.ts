import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect, Random } from "effect"
import { makeDirectory, makeServer } from "./support/server.ts"
import { makeUpstream, numbered, upstreams } from "./support/upstream.ts"

/** Runs of a program, each with other pauses. */
const schedules = Number(process.env["LLM_CACHE_SCHEDULES"] ?? 10)
const clients = [0, 1, 2, 3]
const draws = 4

/** What four clients draw at once with random pauses, in each run, and the receipts. */
const runAll = (placeOf: (run: string, client: number) => string) =>
  Effect.gen(function*() {
    const reply = numbered()
    const upstream = yield* makeUpstream((...args) => void setTimeout(() => reply(...args), 1))
    const server = yield* makeServer(
      { ...upstreams(upstream.url), trace: { directory: yield* makeDirectory } },
      DirectoryStore.layer(yield* makeDirectory)
    )
    return yield* Effect.forEach(Array.from({ length: schedules }, (_, seed) => seed), (seed) =>
      Effect.gen(function*() {
        const drawn = yield* Effect.forEach(clients, (client) =>
          Effect.gen(function*() {
            const texts: Array<string> = []
            for (let i = 0; i < draws; i++) {
              yield* Effect.sleep(yield* Random.nextIntBetween(0, 4))
              texts.push(...yield* server.texts(placeOf(`run-${seed}`, client)))
            }
            return texts
          }).pipe(Random.withSeed(`${seed}-${client}`)), { concurrency: "unbounded" })
        const { json } = yield* server.send(`/llm-cache/runs/run-${seed}`, { method: "DELETE" })
        return { drawn, receipt: json.receipt }
      }))
  })

describe("four clients at once, in runs with random schedules", () => {
  it.live("get equal samples in each run if each has a fork", () =>
    Effect.gen(function*() {
      const all = yield* runAll((run, client) => `/run/${run}/independent/fork/client-${client}`)
      assert.lengthOf(all, schedules)
      const { drawn: first } = all[0]!
      assert.strictEqual(new Set(first.flat()).size, clients.length * draws)
      for (const [seed, { drawn, receipt }] of all.entries()) {
        assert.deepStrictEqual(drawn, first, `seed ${seed}`)
        assert.deepInclude(receipt, { racing: 0, isReplay: seed > 0 }, `seed ${seed}`)
      }
    }))

  it.live("get the same samples in another order without forks, and their receipts tell of races", () =>
    Effect.gen(function*() {
      const all = yield* runAll((run) => `/run/${run}/independent`)
      const sorted = all[0]!.drawn.flat().sort()
      assert.strictEqual(new Set(sorted).size, clients.length * draws)
      for (const [seed, { drawn, receipt }] of all.entries()) {
        assert.deepStrictEqual(drawn.flat().sort(), sorted, `seed ${seed}`)
        assert.strictEqual(receipt.isReplay, receipt.bought === 0 && receipt.racing === 0, `seed ${seed}`)
      }
      assert.isAbove(all[0]!.receipt.racing, 0)
      assert.isAbove(new Set(all.map(({ drawn }) => JSON.stringify(drawn))).size, 1)
    }))
})
