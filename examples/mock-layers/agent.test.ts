/**
 * Tests an agent with scripted models: a test model is a layer like any other.
 */
import { assert, it } from "@effect/vitest"
import { LlmModel, Repeatable } from "@llm-cache/core"
import { TestModel } from "@llm-cache/testing"
import { Effect } from "effect"
import { Undecided, vote } from "./agent.ts"

it.effect("the majority wins, also over a model that repeats itself", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* vote("6 * 7?", 3), "42")
    const { requests } = yield* TestModel.TestModel
    assert.deepStrictEqual(requests, [{ prompt: "6 * 7?", n: 3, path: [] }])
  }).pipe(Effect.provide(LlmModel.stack(Repeatable.layer, TestModel.layer({ script: ["42", "41", "42"] })))))

it.effect("a draw, and a provider's failure, are typed errors", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* Effect.flip(vote("6 * 7?", 2)), new Undecided({ answers: ["42", "41"] }))
    assert.strictEqual((yield* Effect.flip(vote("Who won?", 2)))._tag, "ProviderError")
  }).pipe(Effect.provide(TestModel.layer({
    script: TestModel.prompts([["6 * 7?", ["42", "41"]], ["Who won?", [TestModel.serverFault]]]),
    unused: "fail"
  }))))
