/**
 * Reads receipts into objects, three at a time. A reading that does not add up is made again, with a new sample. Run it twice:
 * the second run sends no request, and makes the same attempts.
 */
import { NodeRuntime } from "@effect/platform-node"
import { CachedModel } from "@llm-cache/ai"
import { Attempt, Fork, Independent, Persistent } from "@llm-cache/core"
import { Console, Data, Effect, Layer, Schema } from "effect"
import { LanguageModel } from "effect/ai"
import * as LanguageProvider from "../shared/LanguageProvider.ts"

const receipts = [
  "Corner Bakery. 4 rolls, 2.40. A pot of tea for three-ten. Sum 5.50, thank you!",
  "BOOK CELLAR * atlas (used) 19.- * postcard 1.50 * TOTAL 20.50 * paid cash * Book Cellar, since 1911",
  "Green Grocer: pears, one bag, four eighty. To pay: 4.80"
]

const Receipt = Schema.Struct({
  shop: Schema.String,
  items: Schema.Array(Schema.Struct({ name: Schema.String, cents: Schema.Int })),
  total: Schema.Int.annotate({ description: "The total in cents." })
})

class DoesNotAddUp extends Data.TaggedError("DoesNotAddUp")<{ readonly shop: string; readonly difference: number }> {}

const read = Effect.fnUntraced(function*(text: string) {
  const { value } = yield* LanguageModel.generateObject({ prompt: `Read this receipt: ${text}`, schema: Receipt })
  const difference = value.items.reduce((sum, { cents }) => sum + cents, 0) - value.total
  return difference === 0 ? value : yield* new DoesNotAddUp({ shop: value.shop, difference })
})

const program = Effect.gen(function*() {
  const all = yield* Fork.forEach(receipts, (text) => Attempt.retry(read(text), { times: 3 }), { concurrency: 3 })
  for (const { attempts, lastError, value } of all) {
    yield* Console.log(`\n${value.shop}, ${value.total} cents, in attempt ${attempts}`)
    if (lastError?._tag === "DoesNotAddUp") {
      yield* Console.log(`  The reading before was off by ${lastError.difference}`)
    }
    for (const { cents, name } of value.items) yield* Console.log(`  ${name}: ${cents}`)
  }
}).pipe(Effect.provide(Independent.layer))

const main = Effect.gen(function*() {
  const provider = yield* LanguageProvider.make
  const model = CachedModel.layer().pipe(
    Layer.provideMerge(Persistent.layer({ directory: ".llm_cache/structured-extraction" })),
    Layer.provide(provider.layer)
  )
  yield* Effect.provide(program, model)
  yield* Console.log(`\nRequests sent: ${yield* provider.requestsSent}`)
})

NodeRuntime.runMain(Effect.scoped(main))
