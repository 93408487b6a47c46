import * as Events from "@llm-cache/core/Events"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { SampleError } from "@llm-cache/core/SampleError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Law } from "../../ModelLaws.ts"
import * as TestModel from "../../TestModel.ts"

type Services = LlmModel.LlmModel | TestModel.TestModel | TestClock.TestClock | Asked | Scope.Scope

/** Counts the samples that models ask for. */
class Asked extends Context.Service<Asked, { samples: number }>()("@llm-cache/testing/internal/modelLaws/law/Asked") {}

const countingAsked = Layer.effect(
  Asked,
  Effect.gen(function*() {
    const asked = { samples: 0 }
    yield* Events.listen((event) => {
      if (event._tag === "RequestSent") asked.samples += event.n
    })
    return asked
  })
).pipe(Layer.provideMerge(Layer.fresh(Events.layer)))

export const all = ["new", "remembered", "shared"] as const

/** A law that is checked by a program over a scripted model, on a clock of its own. */
export const law = (
  name: string,
  sequences: Law["sequences"],
  { broken, isScripted = true, ...model }: TestModel.Options & Partial<Pick<Law, "isScripted">> & Pick<Law, "broken">,
  program: Effect.Effect<void, SampleError | string | ReadonlyArray<string>, Services>
): Law => ({
  name,
  sequences,
  isScripted,
  broken,
  check: <E>(subject: Layer.Layer<LlmModel.LlmModel, E, LlmModel.LlmModel>) => {
    const models: Layer.Layer<LlmModel.LlmModel | TestModel.TestModel, E | InvalidInput> = Layer.provideMerge(
      Layer.fresh(subject),
      TestModel.layer(model)
    )
    return program.pipe(
      Effect.provide(models),
      Effect.provide(countingAsked),
      Effect.provide(TestClock.layer()),
      Effect.scoped,
      Effect.orDie
    )
  }
})

export const many = (prompt: string, n: number) => LlmModel.sampleMany(prompt, n)

/** How many samples the scripted model was asked for, or the model itself, if it asks by itself. */
export const asked = Effect.gen(function*() {
  const { requests } = yield* TestModel.TestModel
  const { samples } = yield* Asked
  return requests.length === 0 ? samples : requests.reduce((sum, { n }) => sum + n, 0)
})
