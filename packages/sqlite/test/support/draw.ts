// Draws as a user without rights to the file given, and prints what came of it.
import { LlmModel } from "@llm-cache/core"
import { Effect } from "effect"
import { SqliteStore } from "../../src/index.ts"

const file = process.argv[2]!
let bought = 0
const provider = LlmModel.layer({
  model: "m",
  temperature: 1,
  generate: () => Effect.sync(() => ({ samples: [`bought ${bought++}`] }))
})

const draw = (prompt: string, replication: boolean) =>
  LlmModel.sampleOne(prompt).pipe(
    Effect.provide(SqliteStore.layerPersistent({ file, replication })),
    Effect.provide(provider),
    Effect.match({
      onFailure: (error) => `${error._tag} ${"kind" in error ? error.kind : ""}`,
      onSuccess: (text) => text
    })
  )

process.setuid!(65534)
const printed = await Effect.runPromise(Effect.all([draw("p", false), draw("q", false), draw("p", true)]))
process.stdout.write(JSON.stringify([...printed, bought]))
