/**
 * Estimates how often an agent with a tool is right at least once in k trials, with five trials at a time. Run it twice: the
 * second run sends no request, and has the same trials, however its fibers are scheduled.
 */
import { NodeRuntime } from "@effect/platform-node"
import { CachedModel } from "@llm-cache/ai"
import { Estimate, Independent, Persistent } from "@llm-cache/core"
import { Console, Effect, Layer, Schema } from "effect"
import { Chat, Tool, Toolkit } from "effect/ai"
import { runInNewContext } from "node:vm"
import * as LanguageProvider from "../shared/LanguageProvider.ts"

const numbers = [4, 7, 8, 8]

/** The value of an arithmetic expression, `NaN` if it is none. */
const evaluate = (expression: string): number => {
  try {
    return /^[-+*/() \d]+$/.test(expression) ? Number(runInNewContext(expression)) : NaN
  } catch {
    return NaN
  }
}

const Expression = Schema.Struct({ expression: Schema.String })

const toolkit = Toolkit.make(Tool.make("evaluate", {
  description: "The value of an expression of numbers, +, -, *, / and brackets.",
  parameters: Expression,
  success: Schema.String
}))

const handlers = toolkit.toLayer({ evaluate: ({ expression }) => Effect.succeed(String(evaluate(expression))) })

/** Tries an expression by its tool, and then answers. */
const agent = Effect.gen(function*() {
  const chat = yield* Chat.empty
  yield* chat.generateText({
    prompt: `Make 24 of the numbers ${numbers.join(", ")}, each used once, by +, -, *, / and brackets. ` +
      "Try your first idea with the tool.",
    toolkit
  })
  const { value } = yield* chat.generateObject({ prompt: "Answer with your best expression.", schema: Expression })
  return value.expression
}).pipe(Effect.provide(handlers))

const isRight = (expression: string) =>
  evaluate(expression) === 24 && (expression.match(/\d+/g) ?? []).sort().join() === numbers.join()

const ks = [1, 3, 5]

const program = Effect.gen(function*() {
  // Each trial has a fork of its own.
  const estimates = yield* Estimate.passAtK({ sample: agent, n: 10, k: ks, check: isRight, concurrency: 5 })
  yield* Effect.forEach(ks, (k, i) => Console.log(`pass@${k}: ${estimates[i]!.toFixed(3)}`))
  const { answer, counts, votes } = yield* Estimate.majority({ sample: agent, n: 9, concurrency: 5, name: "vote" })
  yield* Console.log(`The majority: ${answer} by ${votes} of 9 votes, among ${counts.size} answers`)
}).pipe(Effect.provide(Independent.layer))

const main = Effect.gen(function*() {
  const provider = yield* LanguageProvider.make
  const model = CachedModel.layer().pipe(
    Layer.provideMerge(Persistent.layer({ directory: ".llm_cache/pass-at-k-of-an-agent" })),
    Layer.provide(provider.layer)
  )
  yield* Effect.provide(program, model)
  yield* Console.log(`Requests sent: ${yield* provider.requestsSent}`)
})

NodeRuntime.runMain(Effect.scoped(main))
