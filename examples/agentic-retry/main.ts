/**
 * Attempts of three steps: within one attempt the steps see the same samples, and each attempt sees new ones.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Independent, LlmModel, Persistent, Repeatable } from "@llm-cache/core"
import { Console, Data, Effect, FileSystem, Schedule } from "effect"
import * as Provider from "../shared/Provider.ts"

class BadAnswer extends Data.TaggedError("BadAnswer")<{ readonly answer: string }> {}

const question = "Choose a number between 1 and 1000. Answer with the number alone."

const pick = LlmModel.sampleOne(question)

const check = (picked: string) =>
  Effect.filterOrFail(
    LlmModel.sampleOne(question),
    (answer) => answer === picked,
    (answer) => new BadAnswer({ answer })
  )

const accept = (picked: string) =>
  Effect.filterOrFail(
    LlmModel.sampleOne(`Is ${picked} your lucky number? Answer with a number: even for yes, odd for no.`),
    (answer) => Number(answer) % 2 === 0,
    (answer) => new BadAnswer({ answer })
  )

const attempt = Effect.gen(function*() {
  const picked = yield* pick
  // the same question within one attempt: the same answer
  yield* check(picked)
  yield* Effect.tapError(accept(picked), () => Console.log(`  ${picked} was not accepted`))
  return picked
}).pipe(Effect.provide(Repeatable.layer))

const agent = attempt.pipe(
  Effect.retry({
    schedule: Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(50)]),
    // A missing key or an unknown model is not mended by another attempt.
    while: (error) => error._tag === "BadAnswer"
  }),
  Effect.provide(Independent.layer)
)

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const program = agent.pipe(Effect.provide(Persistent.layer({ directory })), Effect.provide(provider.layer))

  yield* Console.log("First run")
  const first = yield* program
  const sent = yield* provider.requestsSent
  yield* Console.log(`  accepted: ${first}, with ${sent} requests`)

  yield* Console.log("Second run, over the same cache")
  const second = yield* program
  yield* Console.log(`  accepted: ${second}, with ${(yield* provider.requestsSent) - sent} requests`)
}).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

NodeRuntime.runMain(main)
