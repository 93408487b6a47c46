import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { Drawn } from "@llm-cache/core/Sample"
import type { SampleError } from "@llm-cache/core/SampleError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

type Draw = LlmModel.Model["draw"]

type ModelLayer = Layer.Layer<LlmModel.LlmModel, SampleError, LlmModel.LlmModel>

const changing = (change: (model: LlmModel.Model) => Partial<LlmModel.Model>): ModelLayer =>
  Layer.fresh(Layer.effect(
    LlmModel.LlmModel,
    Effect.map(LlmModel.LlmModel, (model) => LlmModel.fromDraw({ ...model, ...change(model) }))
  ))

export const drawing = (change: (draw: Draw) => Draw): ModelLayer => changing(({ draw }) => ({ draw: change(draw) }))

export const eachSample = (change: (sample: Drawn) => Drawn): ModelLayer =>
  drawing((draw) => (...args) =>
    Effect.map(draw(...args), ([first, ...others]) => [change(first), ...others.map(change)])
  )

/** A model that draws before anyone asks. */
export const eager: ModelLayer = Layer.fresh(Layer.effect(
  LlmModel.LlmModel,
  Effect.tap(LlmModel.LlmModel, (model) => model.draw(new Key(model.identity, "p", []), 0, 1))
))

/** A model that hands out the sample of an interrupted draw again and again. */
export const keepsInterrupted: ModelLayer = changing(({ draw }) => {
  let kept: LlmModel.Samples | undefined
  return {
    draw: (...args) =>
      Effect.gen(function*() {
        if (kept !== undefined) return kept
        const request = yield* Effect.forkDetach(draw(...args))
        return yield* Effect.onInterrupt(Fiber.join(request), () =>
          Effect.forkDetach(Effect.map(Fiber.join(request), (drawn) => void (kept = drawn))))
      })
  }
})

/** A model that calls itself something else. */
export const renamed: ModelLayer = Layer.fresh(Layer.effect(
  LlmModel.LlmModel,
  Effect.gen(function*() {
    const model = yield* LlmModel.LlmModel
    return LlmModel.fromDraw({ ...model, identity: yield* Identity.make({ model: "another" }) })
  })
))

/** The faults of a remembering model. */
interface Faults {
  readonly forgets?: boolean
  readonly ignoresPrompts?: boolean
  readonly ignoresForks?: boolean
  readonly asksAgain?: boolean
  readonly remembersFailures?: boolean
  readonly dropsSurplus?: boolean
  readonly peeksBehind?: boolean
  readonly interruptsOthers?: boolean
  /** Calls its sequence new. */
  readonly isNew?: boolean
}

/** The smallest model that remembers: a list of samples for each key, and one request at a time for each. */
export const remembering = (faults: Faults): ModelLayer =>
  changing((model) => {
    const lists = new Map<string, Array<Drawn>>()
    const requests = new Map<string, Deferred.Deferred<ReadonlyArray<Drawn>, SampleError>>()
    const nameOf = ({ path, prompt }: Key) =>
      JSON.stringify([faults.ignoresPrompts ? "" : prompt, faults.ignoresForks ? [] : path])
    const listOf = (key: Key) => {
      const name = nameOf(key)
      const list = lists.get(name) ?? []
      lists.set(name, list)
      return list
    }
    const ask = (key: Key, missing: number) =>
      Effect.gen(function*() {
        const name = nameOf(key)
        const underWay = requests.get(name)
        if (underWay !== undefined && !faults.asksAgain) return yield* Deferred.await(underWay)
        const request = yield* Deferred.make<ReadonlyArray<Drawn>, SampleError>()
        requests.set(name, request)
        const asked = model.draw(key, 0, model.requestSize(missing)).pipe(
          Effect.tap((drawn) =>
            Effect.sync(() => listOf(key).push(...faults.dropsSurplus ? drawn.slice(0, missing) : drawn))
          ),
          Effect.onExit((exit) =>
            Effect.andThen(
              Effect.sync(() => exit._tag === "Success" || !faults.remembersFailures ? requests.delete(name) : false),
              Deferred.done(request, exit)
            )
          )
        )
        if (faults.interruptsOthers) return yield* asked
        yield* Effect.forkDetach(asked)
        return yield* Deferred.await(request)
      })
    const draw: Draw = (key, position, batch) =>
      Effect.gen(function*() {
        while (listOf(key)[position] === undefined) {
          yield* ask(key, position + batch - listOf(key).length)
        }
        const sample = listOf(key)[position]!
        if (faults.forgets) lists.delete(nameOf(key))
        return [sample] as const
      })
    return {
      sequence: faults.isNew ? "new" : "remembered",
      requestSize: () => 1,
      draw,
      peek: (key, position, most) => listOf(key).slice(faults.peeksBehind ? position + 1 : position).slice(0, most)
    }
  })
