// Records into the directory given until it is killed, several prompts at a time, and prints every sample it sees.
import { LlmModel, Persistent } from "@llm-cache/core"
import { Effect, Layer, Stream } from "effect"
import * as Fs from "node:fs"

export const samplesPerRequest = 5

/** A sample that shows whether it is whole, and which request it came with. */
export const makeSample = (request: string, index: number) =>
  `${request} ${index}\r\n${"x".repeat(20_000)}\nend of ${request} ${index}`

if (import.meta.main) {
  const provider = LlmModel.layer({
    model: "mock",
    temperature: 1,
    generate: () =>
      Effect.map(Effect.as(Effect.yieldNow, crypto.randomUUID()), (request) => ({
        samples: Array.from({ length: samplesPerRequest }, (_, i) => makeSample(request, i))
      }))
  })

  const record = (prompt: string) =>
    LlmModel.sample(prompt, { batch: samplesPerRequest }).pipe(
      Stream.zipWithIndex,
      Stream.runForEach(([text, position]) =>
        Effect.sync(() => Fs.writeSync(1, `${JSON.stringify({ prompt, position, head: text.split("\r\n")[0] })}\n`))
      )
    )

  await Effect.runPromise(
    Effect.forEach(["a", "b", "c"], record, { concurrency: "unbounded" }).pipe(
      Effect.provide(Layer.provide(Persistent.layer({ directory: process.argv[2]! }), provider))
    )
  )
}
