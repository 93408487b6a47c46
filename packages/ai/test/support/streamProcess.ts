/**
 * Streams in a process of its own: `node streamProcess.ts STORE FOLDER STREAMS [LEASE]`. It starts when its input has a line,
 * and prints what each stream shows, how it ends, and the number of requests.
 */
import { CacheErrors } from "@llm-cache/ai"
import { Effect, Exit, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { once } from "node:events"
import { cached, deltas, scripted } from "./scripted.ts"
import { type StoreName, stores } from "./stores.ts"

/** A line of its output. */
export type Line =
  | { readonly prompt: string; readonly delta: string }
  | { readonly prompt: string; readonly end: string }
  | { readonly requests: number }

/** The number of deltas of each answer. */
export const answerLength = 20

const main = async (name: string, folder: string, streams: number, lease?: string) => {
  const print = (line: Line) => console.log(JSON.stringify(line))
  const pause = Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 1))
  const provider = scripted(
    undefined,
    (_, i) =>
      Stream.fromIterable(deltas(...Array.from({ length: answerLength }, (_, j) => `${process.pid} ${i} ${j};`))).pipe(
        Stream.rechunk(1),
        Stream.tap(() => pause)
      )
  )
  const model = cached(provider.layer, {
    store: stores[name as StoreName](folder),
    cache: lease === undefined ? {} : { lease: lease as "1 minute" }
  })
  const show = (prompt: string) =>
    LanguageModel.streamText({ prompt }).pipe(
      CacheErrors.expose,
      Stream.runForEach((part) =>
        Effect.sync(() => {
          if (part.type === "text-delta") print({ prompt, delta: part.delta })
        })
      ),
      Effect.catchTag("InvalidInput", ({ message }) => Effect.succeed(message)),
      Effect.exit,
      Effect.map((exit) => print({ prompt, end: Exit.isFailure(exit) ? String(exit.cause) : exit.value ?? "whole" }))
    )
  console.log()
  await once(process.stdin, "data")
  process.stdin.pause()
  const prompts = Array.from({ length: streams }, (_, i) => `prompt ${i}`)
  await Effect.runPromise(Effect.forEach(prompts, show, { concurrency: 3 }).pipe(Effect.provide(model)))
  print({ requests: provider.requests.length })
}

if (import.meta.main) {
  const [, , name = "", folder = "", streams, lease] = process.argv
  await main(name, folder, Number(streams), lease)
}
