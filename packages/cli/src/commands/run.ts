import * as Explain from "@llm-cache/core/Explain"
import { Key } from "@llm-cache/core/Key"
import * as Trace from "@llm-cache/core/Trace"
import * as Place from "@llm-cache/server/Place"
import * as Upstream from "@llm-cache/server/Upstream"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Path from "node:path"
import { UsageError } from "../errors.ts"
import { sameCache } from "../flags.ts"
import { keyFields } from "../output/fields.ts"
import { forkLabel } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { receiptFields, receiptSentence } from "../run/receipt.ts"
import { environmentFor } from "../server/environment.ts"
import { serverFlags, serverOptions } from "../server/flags.ts"
import { runProgram } from "../server/runProgram.ts"
import { startServer } from "../server/startServer.ts"

export const command = Command.make(
  "run",
  {
    program: Argument.String("command").pipe(
      Argument.variadic(),
      Argument.withDescription("The program and its arguments, after --")
    ),
    ...serverFlags
  },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const [file, ...args] = input.program
    if (file === undefined) {
      return yield* new UsageError({ message: "say which program to run: llm-cache run -- COMMAND" })
    }
    const options = yield* serverOptions(input)
    const routeOf = yield* Upstream.makeRoutes(options.upstreams)
    const { runs, store, url } = yield* startServer(input.cache, input.slice, {
      ...options,
      port: 0,
      // The run ends with the program.
      runIdle: Duration.infinity,
      trace: { directory: Trace.directoryOf(input.cache) }
    })
    const name = yield* freshName(Path.basename(file))
    // Nobody else knows the name.
    const run = yield* Effect.catchTag(runs.use(name), "RunInUse", Effect.die)
    const trace = run.trace!
    const { code, problem } = yield* runProgram(
      file,
      args,
      // The program gets the whole environment of this process.
      environmentFor(process.env, {
        root: url + Place.format({ ...Place.root, run: name }),
        keyless: apis.filter((api) => input.replication || routeOf("any", api)?.upstream.key !== undefined)
      })
    )
    if (problem !== undefined) yield* output.note(problem)
    const { missed } = yield* trace.receipt
    const exit = code === 0 && missed > 0 ? 1 : code
    yield* output.exitWith(exit)
    yield* runs.end(name, exit)
    const receipt = yield* Trace.receipt(trace.run.file)
    const first = missed > 0 ? (yield* Explain.misses(store, trace.run.file))[0] : undefined
    if (first !== undefined) {
      const fork = first.path.length === 0 ? "" : `, fork ${forkLabel(first.path)}`
      const again = `llm-cache why-miss last${yield* sameCache(input.cache)}`
      yield* output.note(`first miss at request ${first.number}${fork}: ${again}`)
    }
    if (receipt.asked === 0 && receipt.failed === 0 && problem === undefined) {
      yield* output.note(
        `${file} asked nothing through llm-cache: its client has to use OPENAI_BASE_URL or ANTHROPIC_BASE_URL`
      )
    }
    yield* output.report(
      {
        run: trace.run.id,
        ...receiptFields(receipt),
        firstMiss: first === undefined ? null : {
          request: first.number,
          ...keyFields(new Key(first.identity, first.prompt, first.path)),
          position: first.position
        }
      },
      receiptSentence(receipt)
    )
  })
).pipe(
  Command.withDescription("Runs a program with the cache beneath its model, and tells what it asked"),
  Command.withExamples([
    {
      command: "llm-cache run -- python agent.py",
      description: "The first time it asks the model; then it is replayed"
    },
    { command: "llm-cache run --replication -- python agent.py", description: "Never asks the model" }
  ])
)

const apis: ReadonlyArray<Upstream.Api> = ["openai", "anthropic"]

/** A name that no other run has, so that it reads from the first sample on. */
const freshName = (program: string) =>
  Effect.map(
    Effect.replicateEffect(Random.nextIntBetween(0, 36), 8),
    (digits) => `${program.slice(0, 30).toWellFormed()}-${digits.map((digit) => digit.toString(36)).join("")}`
  )
