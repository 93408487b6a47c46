/**
 * Tests an agent with mock models: a mock is a layer like any other.
 */
import { assert, it } from "@effect/vitest"
import { LlmModel, Repeatable, SampleError } from "@llm-cache/core"
import { Effect, Layer } from "effect"
import { Undecided, vote } from "./agent.ts"

/** A model that gives its answers in turn, as a model with a mind of its own would. */
const scripted = (...answers: Array<string>) => {
  const rest = answers.values()
  return LlmModel.layer({
    model: "scripted",
    generate: ({ n }) => Effect.sync(() => ({ samples: rest.take(n).toArray() }))
  })
}

it.effect("the majority wins", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* vote("6 * 7?", 3), "42")
  }).pipe(Effect.provide(scripted("42", "41", "42"))))

it.effect("votes are independent over a model that repeats itself", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* vote("6 * 7?", 3), "41")
  }).pipe(Effect.provide(Layer.provide(Repeatable.layer, scripted("42", "41", "41")))))

it.effect("a draw is a typed error", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* Effect.flip(vote("6 * 7?", 2)), new Undecided({ answers: ["42", "41"] }))
  }).pipe(Effect.provide(scripted("42", "41"))))

it.effect("a provider's failure is not a vote", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(vote("6 * 7?", 3))
    assert.strictEqual(error._tag, "ProviderError")
  }).pipe(Effect.provide(LlmModel.layer({
    model: "down",
    generate: () =>
      Effect.fail(
        new SampleError.ProviderError({
          provider: "down",
          reason: new SampleError.ServerFault({ description: "out of order" })
        })
      )
  }))))
