// Draws from the cache of `makeProvider` in the directory given, as a user without rights to it.
import { LlmModel, Persistent } from "@llm-cache/core"
import { Effect } from "effect"
import { makeProvider, using } from "./provider.ts"

const root = process.argv[2]!

const draw = (prompt: string, n: number) =>
  LlmModel.sampleMany(prompt, n).pipe(
    Effect.provide(Persistent.layer({ directory: root })),
    Effect.match({
      onFailure: (error) => `${error._tag} ${"kind" in error ? error.kind : ""}`,
      onSuccess: (texts) => texts.join()
    })
  )

const program = Effect.gen(function*() {
  const provider = yield* makeProvider()
  const results = yield* Effect.all([draw("p", 2), draw("p", 3), draw("q", 1)]).pipe(using(provider.model))
  return [...results, `${provider.requests.length} requests`]
})

if (process.getuid?.() === 0) process.setuid!(65534)
process.stdout.write(JSON.stringify(await Effect.runPromise(program)))
