import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import { sentence } from "../cache/transfer.ts"
import { type OutputClosed, UsageError } from "../errors.ts"
import { Output } from "../output/Output.ts"
import { batchRequests } from "./batchRequests.ts"
import type { Wanted } from "./prompts.ts"

export interface BatchOptions {
  /** The file of the requests. Their keys are in a file of this name and `.keys`. */
  readonly file: string
  readonly protocol: "chat" | "messages"
  /** The provider's name of the model, if it is not that of the cache. */
  readonly model?: string | undefined
}

/** Writes the requests for the samples that a store lacks into a batch file. */
export const makeBatch = <E>(
  store: Store,
  wanted: Stream.Stream<Wanted, E>,
  { file, model, protocol }: BatchOptions
): Effect.Effect<void, E | StoreError | UsageError | OutputClosed, Output> =>
  Effect.scoped(Effect.gen(function*() {
    const output = yield* Output
    const requests = yield* created(file)
    const keys = yield* created(`${file}.keys`)
    const counts = { requests: 0, present: 0, unfit: 0 }
    const models = new Set<string>()
    const seen = new Map<string, number>()
    // Anthropic takes one JSON object: https://platform.claude.com/docs/en/build-with-claude/batch-processing
    const isObject = protocol === "messages"
    if (isObject) requests("{\"requests\":[\n")
    yield* Stream.runForEach(wanted, ({ key, samples }) =>
      Effect.gen(function*() {
        const name = JSON.stringify([key.identity.id, key.promptHash, key.path])
        // A prompt may be in several lines: its counts add up.
        const before = seen.get(name) ?? 0
        const positions = typeof samples === "number"
          ? Array.from({ length: samples }, (_, i) => before + i)
          : samples
        seen.set(name, before + positions.length)
        const held = new Set(yield* store.positions(key))
        const missing = positions.filter((position) => !held.has(position))
        counts.present += positions.length - missing.length
        if (missing.length === 0) return
        const lines = yield* batchRequests(protocol, key, missing, model)
        if ("unfit" in lines) {
          if (counts.unfit++ === 0) yield* output.note(`prompt ${key.promptHash.slice(0, 8)}: ${lines.unfit}`)
          return yield* output.found
        }
        models.add(model ?? key.identity.name)
        for (const line of lines) {
          requests(`${isObject && counts.requests++ > 0 ? "," : ""}${JSON.stringify(line.request)}\n`)
          if (!isObject) counts.requests++
          keys(`${JSON.stringify(line.key)}\n`)
        }
      }))
    if (isObject) requests("]}\n")
    if (models.size > 1 && !isObject) {
      yield* output.note("OpenAI takes one model per batch file: make a file for each model")
    }
    yield* output.summary(counts, sentence(counts))
    yield* output.note(`send ${file}, then: llm-cache batch import ANSWERS --requests ${file}`)
  }))

// A batch file that exists may have been sent: its keys are needed when the answers come.
const created = (file: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () => Fs.openSync(file, "wx", 0o600),
        catch: (cause) =>
          new UsageError({
            message: (cause as NodeJS.ErrnoException).code === "EEXIST"
              ? `${file} exists already: give another name`
              : (cause as Error).message
          })
      }),
      (descriptor) => Effect.sync(() => Fs.closeSync(descriptor))
    ),
    (descriptor) => (text: string) => void Fs.writeSync(descriptor, text)
  )
