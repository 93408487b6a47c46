import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel } from "@llm-cache/core"
import { Place, Runs } from "@llm-cache/server"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import { makeDirectory } from "./support/server.ts"

const place: Place.Place = { ...Place.root, run: "a", independent: true }

/** The bytes of the heap that are in use. */
const used = Effect.promise(async () => {
  V8.setFlagsFromString("--expose-gc")
  const collect = Vm.runInNewContext("gc") as () => void
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  return process.memoryUsage().heapUsed
})

const makeModel = LlmModel.make({ model: "m", generate: ({ n }) => Effect.succeed({ samples: Array(n).fill("x") }) })

const warm = 500
const count = 2000

/** Runs of 1000 attempts. */
const attemptRuns = Number(process.env["LLM_CACHE_ATTEMPT_RUNS"] ?? 50)

const MiB = 1024 * 1024

describe("runs", () => {
  it.live("that are idle hold no file, and little memory each", () =>
    Effect.gen(function*() {
      const model = yield* makeModel
      const key = new Key.Key(model.identity, "p", [])
      const runs = yield* Runs.make({ model, trace: { directory: yield* makeDirectory } })
      const begin = (name: string) =>
        Effect.gen(function*() {
          const run = yield* runs.use(name)
          const [sample] = yield* Stream.runCollect(Stream.take(LlmModel.sample(key.prompt), 1)).pipe(
            Effect.provideService(LlmModel.LlmModel, yield* run.model(place, key))
          )
          assert.strictEqual(sample, "x")
          yield* run.trace!.give(key, [0], "/independent")
        })
      // The compiled code takes memory too.
      for (let i = 0; i < warm; i++) yield* begin(`warm-${i}`)
      const files = Fs.readdirSync("/dev/fd").length
      const before = yield* used
      for (let i = 0; i < count; i++) yield* begin(`${i}`)
      const held = (yield* used) - before
      // 10,000 hold less than 100 MB.
      assert.isBelow(held / count, 10_000)
      assert.isAtMost(Fs.readdirSync("/dev/fd").length, files + 10)
      assert.strictEqual((yield* runs.list).length, warm + count)
    }))

  it.live("give the memory of their attempts back when they end", () =>
    Effect.gen(function*() {
      const model = yield* makeModel
      const runs = yield* Runs.make({ model, trace: false })
      const key = new Key.Key(model.identity, "p", [])
      const round = (from: number, to: number) =>
        Effect.gen(function*() {
          for (let i = from; i < to; i++) {
            const run = yield* runs.use(`${i}`)
            for (let attempt = 0; attempt < 1000; attempt++) {
              const attemptModel = yield* run.model({ ...place, attempt: [`${attempt}`] }, key)
              yield* LlmModel.sampleOne(key.prompt).pipe(Effect.provideService(LlmModel.LlmModel, attemptModel))
            }
            yield* runs.end(`${i}`)
          }
        })
      yield* round(0, 50)
      const before = yield* used
      yield* round(50, 50 + attemptRuns)
      assert.isBelow((yield* used) - before, 5 * MiB)
    }))
})
