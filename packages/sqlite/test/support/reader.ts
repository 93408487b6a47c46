// Opens the given file as a user without rights to its folder, and prints the samples at the positions on its input.
import { Identity, Key } from "@llm-cache/core"
import { Effect, Stream } from "effect"
import * as Readline from "node:readline"
import { SqliteStore } from "../../src/index.ts"

process.setuid!(65534)

const program = Effect.gen(function*() {
  const store = yield* SqliteStore.make({ file: process.argv[2]! })
  const key = new Key.Key(yield* Identity.make({ model: "m", temperature: 1 }), "p", [])
  const lines = Stream.fromAsyncIterable(Readline.createInterface({ input: process.stdin }), String)
  yield* Stream.runForEach(lines, (line) =>
    Effect.map(store.get(key, Number(line)), (sample) => {
      process.stdout.write(`${sample?.text ?? "none"}\n`)
    }))
})

await Effect.runPromise(Effect.scoped(program))
