import {
  DirectoryStore,
  Events,
  Identity,
  Key,
  LlmModel,
  Persistent,
  type Sample,
  type SampleStore,
  Trace
} from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const number = "Choose a number between 1 and 1000."
const poem = "Write a poem of one line about the sea."

/** A program that asks a model. */
const program = `curl -s $OPENAI_BASE_URL/chat/completions -H 'content-type: application/json' -d "{
  \\"model\\": \\"gpt-4o\\", \\"temperature\\": 1,
  \\"messages\\": [{\\"role\\": \\"user\\", \\"content\\": \\"$1\\"}]
}" | grep -o '"content":"[^"]*"\\|"code":"[^"]*"'
`

/** The time of all samples: too long ago to be told in days. */
const time = Date.UTC(2026, 0, 2, 3, 4, 5)

/** Puts samples at positions from 0. */
const put = Effect.fnUntraced(function*(
  store: SampleStore.Store,
  prompt: string,
  texts: ReadonlyArray<string>,
  { fork = [], model = "gpt-4o", temperature = 1 }: {
    readonly fork?: ReadonlyArray<string>
    readonly model?: string
    readonly temperature?: number
  } = {}
) {
  const key = new Key.Key(yield* Identity.make({ model, temperature }), prompt, fork)
  yield* store.prepare(key)
  const entries = texts.map((text, position): Sample.Entry => ({
    position,
    drawn: {
      text,
      origins: [],
      metadata: {
        request: `${[...fork, ""].join("/")}${prompt}${position}${text}`,
        index: 0,
        finishReason: "stop",
        createdAt: time,
        inputTokens: 16,
        outputTokens: 2 + Math.ceil(text.length / 4)
      }
    }
  }))
  yield* store.put(key, entries as [Sample.Entry, ...Array<Sample.Entry>], "drop")
})

/** A replication that misses a prompt, and another one that follows from it. */
const replicate = (directory: string) => {
  const almost = "Choose a number between 1 and 10,000."
  return Effect.forEach(
    [number, number, almost, `Is this clear? ${almost}`],
    (prompt) => Effect.exit(LlmModel.sampleOne(prompt))
  ).pipe(
    Effect.provide(Persistent.layerReplication({ directory, model: "gpt-4o", temperature: 1 })),
    Effect.provide(Layer.provideMerge(Trace.layer({ directory, name: "numbers" }), Events.layer))
  )
}

/** The caches of the page: that of the user, in a directory, one of a colleague in a file, and one with a damaged sample. */
export const makeExampleCaches = (home: string): Promise<void> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const mine = yield* DirectoryStore.make(Path.join(home, ".llm_cache"))
    yield* put(mine, number, ["92", "747", "131", "561"])
    yield* put(mine, number, ["16", "808"], { fork: ["trial-1"] })
    yield* put(mine, number, ["345"], { fork: ["trial-2"] })
    yield* put(mine, poem, ["The sea keeps every name it is told.", "Salt writes slowly."])
    yield* put(mine, number, ["500"], { model: "meta-llama/Llama-3.1-8B-Instruct", temperature: 0 })
    yield* replicate(Path.join(home, ".llm_cache"))
    const colleague = yield* SqliteStore.make({ file: Path.join(home, "colleague.db") })
    yield* put(colleague, number, ["92", "621", "9", "561", "270"])
    yield* put(colleague, "Name a color.", ["blue"])
    const old = yield* DirectoryStore.make(Path.join(home, "old_cache"))
    yield* put(old, number, ["92", "747"])
    const [file] = Fs.globSync(Path.join(home, "old_cache/**/1.md"))
    Fs.writeFileSync(file!, "7477")
    Fs.writeFileSync(Path.join(home, "ask.sh"), program)
    // A directory's last sample is as old as its files.
    for (const path of Fs.readdirSync(home, { encoding: "utf8", recursive: true })) {
      Fs.utimesSync(Path.join(home, path), time / 1000, time / 1000)
    }
  })))
