/**
 * The library's models, as the rows use them.
 */
import { LlmModel, Persistent, Repeatable, type SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { sampleLength, sampleOf } from "./payload.ts"

/** A provider that answers at once. */
export const provider = (length: number = sampleLength): Promise<LlmModel.Model> =>
  Effect.runPromise(LlmModel.make({
    model: "bench",
    temperature: 1,
    generate: ({ n, prompt }) => {
      const text = sampleOf(Number.parseInt(prompt, 10), length)
      return Effect.succeed({ samples: Array.from({ length: n }, () => text) })
    }
  }))

/** A model over a provider. It lives as long as the row. */
export const repeatable = async (scope: Scope.Scope): Promise<LlmModel.Model> =>
  Effect.runPromise(Scope.provide(Repeatable.make(await provider()), scope))

/** A model over a provider and a store. */
export const persistent = async (
  store: SampleStore.Store,
  scope: Scope.Scope,
  length?: number
): Promise<LlmModel.Model> => Effect.runPromise(Scope.provide(Persistent.make(await provider(length), store), scope))

/** Runs an effect in one fiber, like a program. */
export const run = <A, E>(model: LlmModel.Model, self: Effect.Effect<A, E, LlmModel.LlmModel>): Promise<A> =>
  Effect.runPromise(Effect.provideService(self, LlmModel.LlmModel, model))

/** Runs one effect after the other, and adds up their characters. */
export const inTurn = <E, R>(
  count: number,
  each: (i: number) => Effect.Effect<string | ReadonlyArray<string>, E, R>
): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    let i = 0
    let characters = 0
    const all = Effect.whileLoop({
      while: () => i < count,
      body: () => each(i),
      step: (brought) => {
        i++
        characters += lengthOf(brought)
      }
    })
    return Effect.map(all, () => characters)
  })

/** Asks for the first sample of each prompt, some at once. */
export const sampleEach = (prompts: ReadonlyArray<string>, concurrency = 1) =>
  concurrency === 1
    ? inTurn(prompts.length, (i) => LlmModel.sampleOne(prompts[i]!))
    : Effect.map(
      Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt), { concurrency }),
      lengthOf
    )

export const lengthOf = (brought: string | ReadonlyArray<string>): number =>
  typeof brought === "string" ? brought.length : brought.reduce((sum, { length }) => sum + length, 0)
