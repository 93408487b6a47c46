// Draws as a user without rights to the given file, and prints the samples or errors, and the number of requests.
import { LlmModel, Persistent } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect } from "effect"
import { SqliteStore } from "../../src/index.ts"

const file = process.argv[2]!
const { model, requests } = await Effect.runPromise(TestModel.make({ model: "m" }))

const draw = (prompt: string, replication: boolean) =>
  LlmModel.sampleOne(prompt).pipe(
    Effect.provide(Persistent.layer({ store: SqliteStore.layer({ file }), replication })),
    Effect.provideService(LlmModel.LlmModel, model),
    Effect.match({
      onFailure: (error) => `${error._tag} ${"kind" in error ? error.kind : ""}`,
      onSuccess: (text) => text
    })
  )

process.setuid!(65534)
const printed = await Effect.runPromise(Effect.all([draw("p", false), draw("q", false), draw("p", true)]))
process.stdout.write(JSON.stringify([...printed, requests.length]))
