/**
 * Tests an agent with scripted answers, and with those of a real model: the first run recorded them, and each run replays them, in CI
 * without a key.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { OpenAi } from "@llm-cache/providers"
import { Cassette, NoRequests, TestModel } from "@llm-cache/testing"
import { Effect, Layer } from "effect"
import { luckyNumber } from "./luckyNumber.ts"

const client = process.env["OPENAI_API_KEY"] === undefined ? NoRequests.layer : NodeHttpClient.layerUndici
const model = OpenAi.layer({ model: "gpt-4o-mini", temperature: 1 }).pipe(Layer.provide(client))

it.effect("starts over until the number is a lucky one", () =>
  Effect.gen(function*() {
    const { attempts, value } = yield* luckyNumber
    assert.isAbove(attempts, 1)
    assert.match(value, /^\d+$/)
  }).pipe(Effect.provide(LlmModel.stack(Cassette.layer("lucky-number", { unused: "fail" }), model))))

it.effect("asks again after a no", () =>
  Effect.gen(function*() {
    const { attempts, value } = yield* luckyNumber
    assert.deepStrictEqual([value, attempts], ["7", 2])
  }).pipe(Effect.provide(TestModel.layer({
    script: TestModel.prompts([["Choose", ["13", "7"]], ["Is 13", "no"], ["Is 7", "yes"]]),
    unused: "fail"
  }))))
