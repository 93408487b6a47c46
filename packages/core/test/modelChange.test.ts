import { assert, it } from "@effect/vitest"
import { DirectoryStore, LlmModel, MemoryStore, Persistent } from "@llm-cache/core"
import { Effect, Logger } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { using } from "./support/provider.ts"

const answering = (model: string | undefined) =>
  LlmModel.make({
    model: "m",
    generate: ({ n, prompt }) => Effect.succeed({ model, samples: Array.from({ length: n }, () => prompt) })
  })

it.effect("A provider that answers as another model than the recorded samples is warned of, once per run", () =>
  Effect.gen(function*() {
    for (const store of [yield* MemoryStore.make, yield* DirectoryStore.make(yield* makeDirectory)]) {
      const messages: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") messages.push(String(message))
      })
      const run = (model: string | undefined, i: number) =>
        Effect.scoped(Effect.gen(function*() {
          const cache = yield* Persistent.make(yield* answering(model), store)
          for (const prompt of ["a", "b"]) yield* LlmModel.sampleOne(`${prompt} ${i}`).pipe(using(cache))
        })).pipe(Effect.provide(Logger.layer([logger])))
      yield* run("m-1", 0)
      yield* run("m-1", 1)
      yield* run(undefined, 2)
      assert.deepStrictEqual(messages, [])
      yield* run("m-2", 3)
      assert.lengthOf(messages, 1)
      assert.include(messages[0], `answers as "m-2", and recorded samples are of "m-1"`)
      assert.include(messages[0], "alias")
    }
  }).pipe(Effect.scoped))
