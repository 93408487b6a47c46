/** A cache with runs: one that requested, its replay, one with a miss that another follows from, and one with racing workers. */
import {
  DirectoryStore,
  Events,
  Fork,
  Independent,
  type InvalidInput,
  LlmModel,
  type Model,
  Persistent,
  Repeatable,
  type SampleError,
  Trace
} from "@llm-cache/core"
import { Effect, Scope } from "effect"
import * as Crypto from "node:crypto"

export const numberPrompt = "Choose a number between 1 and 1000."
export const colorPrompt = "Name a color."
export const longPrompt = `Plan a trip to Lisbon in May, day by day, with the cost of each. ${
  "Be careful. ".repeat(40)
}`
/** Everything in it would do harm on a page that shows it as it is. */
export const hostilePrompt =
  `<script>document.title = "broken"</script><img src=x onerror="document.title='broken'">\u001b[31mred\u202etxt.exe\u0000\r`
export const chatPrompt = JSON.stringify({
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "How is the weather in **Paris**?" },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "1", type: "function", function: { name: "weather", arguments: `{"city":"Paris"}` } }]
    },
    { role: "tool", content: "12 degrees" }
  ]
})

const numbers = ["92", "747", "131", "561", "16", "808"]
/** Four of ten are equal, as are three others. */
const colors = ["red", "green", "green", "blue", "green", "blue", "green", "red", "blue", "violet"]

const makeModel = Effect.gen(function*() {
  const asked = new Map<string, number>()
  let requests = 0
  return yield* LlmModel.make({
    model: "gpt-4o",
    temperature: 1,
    generate: ({ n, prompt }) =>
      Effect.sync(() => {
        const first = asked.get(prompt) ?? 0
        asked.set(prompt, first + n)
        requests++
        const textOf = (i: number) =>
          prompt === numberPrompt
            ? numbers[i % numbers.length]!
            : prompt === colorPrompt
            ? colors[i % colors.length]!
            : prompt === hostilePrompt
            ? `</div><script>document.title = "broken"</script>\u202e\u001b]0;x\u0007 ${i}`
            : `Answer ${i}: the plan has ${i + 3} steps, and was checked twice.`
        return {
          samples: Array.from({ length: n }, (_, i) => ({
            text: textOf(first + i),
            ...prompt === chatPrompt && { reasoning: "Think of the tool first." }
          })),
          inputTokens: Math.ceil(prompt.length / 4),
          outputTokens: 12 * n,
          createdAt: 1_790_000_000_000 + requests
        }
      })
  })
})

const traced = <A, E, R>(directory: string, name: string, self: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const events = yield* Events.make
    const trace = yield* Scope.provide(Trace.make({ directory, name }), scope)
    yield* events.listen(trace.listener)
    const exit = yield* Effect.exit(Effect.provideService(self, Events.Events, events))
    yield* Scope.close(scope, exit)
    return trace.run.id
  }))

const using = (model: Model.Model) => Effect.provideService(LlmModel.LlmModel, model)

const agent = (
  source: Model.Model,
  directory: string,
  options: { readonly date: string; readonly replication?: boolean; readonly races?: boolean }
) =>
  Effect.scoped(Effect.gen(function*() {
    const { date, races = false, replication = false } = options
    const store = yield* DirectoryStore.make(directory, { durability: "process" })
    const cache = yield* Persistent.make(source, store, { replication })
    const reader = yield* Independent.make(cache)
    for (let i = 0; i < 3; i++) {
      const attempt = yield* Repeatable.make(reader)
      yield* LlmModel.sampleMany(numberPrompt, 2).pipe(using(attempt))
      yield* LlmModel.sampleOne(numberPrompt).pipe(using(attempt))
    }
    yield* LlmModel.sampleMany(colorPrompt, 10).pipe(using(cache))
    yield* LlmModel.sampleMany(longPrompt, 2).pipe(using(cache))
    yield* LlmModel.sampleMany(hostilePrompt, 2).pipe(using(cache))
    yield* LlmModel.sampleOne(chatPrompt).pipe(using(cache))
    for (const worker of ["worker-1", "worker-2", "<b>worker-3</b>"]) {
      yield* LlmModel.sampleMany("Solve the task.", 2).pipe(using(cache), Fork.fork("step"), Fork.fork(worker))
    }
    if (races) {
      const one = Effect.andThen(Effect.yieldNow, LlmModel.sampleOne("Suggest a title."))
      yield* Effect.all([one, one], { concurrency: 2 }).pipe(using(reader), Fork.fork("drafts"))
    }
    const plan = `Today is ${date}. Write a plan for the week in one line, with two goals.`
    const planned = yield* Effect.exit(LlmModel.sampleOne(plan).pipe(using(cache), Fork.fork("planner")))
    yield* Effect.ignore(LlmModel.sampleOne(`Is this good? ${plan}`).pipe(using(cache), Fork.fork("planner")))
    yield* planned
  }))

/** The ids of the runs of the example. */
export interface Example {
  readonly recorded: string
  readonly replayed: string
  readonly missed: string
  readonly raced: string
}

/** Fills a directory, and returns the runs. */
export const makeExample = (
  directory: string
): Effect.Effect<Example, InvalidInput.InvalidInput | SampleError.StoreError> =>
  Effect.gen(function*() {
    const model = yield* makeModel
    const recorded = yield* traced(directory, "agent", agent(model, directory, { date: "2026-11-24" }))
    const replayed = yield* traced(directory, "agent", agent(model, directory, { date: "2026-11-24" }))
    const missed = yield* traced(
      directory,
      "nightly",
      agent(model, directory, { date: "2026-11-25", replication: true })
    )
    const raced = yield* traced(directory, "workers", agent(model, directory, { date: "2026-11-24", races: true }))
    return { recorded, replayed, missed, raced }
  })

export const hashOf = (text: string): string => Crypto.createHash("sha256").update(text).digest("hex")

/** A page of each kind: its path, the path that takes a suffix if it is another one, and its query. */
export const pathsOf = ({ missed, raced, recorded }: Example) =>
  [
    ["", "/runs"],
    [`/runs/${missed}`],
    [`/runs/${raced}`],
    [`/runs/${missed}/misses/30`],
    ["/compare", "/compare", `?a=${recorded}&b=${missed}`],
    [`/prompts/${hashOf(numberPrompt)}`, `/prompts/${hashOf(numberPrompt)}`, `?run=${recorded}`],
    [`/prompts/${hashOf(hostilePrompt)}`, `/prompts/${hashOf(hostilePrompt)}`, `?a=0&b=1`],
    [`/prompts/${hashOf(chatPrompt)}`],
    ["/cache"]
  ] as ReadonlyArray<readonly [page: string, plain?: string, query?: string]>
