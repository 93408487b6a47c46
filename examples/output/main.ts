/**
 * Asks for an answer in parts, draws until a sample has them all, and takes the same samples from the cache in a second run.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Independent, LlmModel, Output, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem } from "effect"

const answer = Output.sequence([
  Output.tag("problem"),
  Output.repeat(Output.sequence([Output.tag("algorithm"), Output.code({ language: "js" })]))
])

const example: Output.Type<typeof answer> = ["Add two numbers.", [["Use the operator.", "const add = (a, b) => a + b"]]]

// The first sample breaks off in its code, the second has no algorithm.
const samples = [
  "<problem>Sort numbers.</problem>\n<algorithm>Quicksort</algorithm>\n```js\nconst sort = (",
  "<problem>Sort numbers.</problem>\nI know of no algorithm.",
  `Sure! <problem>Sort numbers.</problem>

1. <algorithm>The library's</algorithm>
   \`\`\`js
   const sort = (numbers) => numbers.toSorted((a, b) => a - b)
   \`\`\`
2. <algorithm>Counting</algorithm>
   \`\`\`js
   const sort = (numbers) =>
     [...new Set(numbers)].flatMap((one) => numbers.filter((other) => other === one))
   \`\`\``
]

const main = Effect.gen(function*() {
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const form = yield* Output.render(answer)(example)
  const prompt = `How can numbers be sorted? Answer in this form, with as many algorithms as you know:\n\n${form}`
  let requests = 0
  const mock = LlmModel.layer({
    model: "mock",
    temperature: 1,
    generate: () => Effect.sync(() => ({ samples: [samples[requests++]!] }))
  })
  const query = Output.query(prompt, answer, {
    validate: ([_, algorithms]) => algorithms.length > 0 || "there is no algorithm"
  }).pipe(Effect.provide(Independent.layer))

  for (const run of ["First", "Second"]) {
    const before = requests
    const [problem, algorithms] = yield* query.pipe(
      Effect.provide(Persistent.layer({ directory })),
      Effect.provide(mock)
    )
    yield* Console.log(`${run} run: ${problem} With ${requests - before} requests`)
    for (const [name, code] of algorithms) yield* Console.log(`${name}: ${code.split("\n").length} lines`)
  }

  const strict = Output.query(prompt, answer, { validate: () => "no answer is accepted" }).pipe(
    Effect.catchTag("OutputsExhausted", ({ message }) => Effect.succeed(message)),
    Effect.provide(Independent.layer)
  )
  const miss = yield* strict.pipe(
    Effect.catchTag("ReplicationCacheMiss", ({ position }) => Effect.succeed(`a miss at position ${position}`)),
    Effect.provide(Persistent.layer({ directory, replication: true })),
    Effect.provide(mock)
  )
  yield* Console.log(`A query that goes on behind what is recorded: ${miss}`)
}).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

NodeRuntime.runMain(main)
