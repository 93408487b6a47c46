import { assert, it } from "@effect/vitest"
import { Identity, MemoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import { withTokens } from "../src/cache/tokens.ts"
import { layerOutput } from "../src/output/Output.ts"
import { put } from "./support/caches.ts"

it.effect("The tokens of many prompts are left out, unless they are asked for", () =>
  Effect.gen(function*() {
    const store = yield* MemoryStore.make
    yield* put(store, [{ model: "gpt-4o", prompt: "p", samples: { 0: "92", 1: "747" } }])
    const identity = yield* Identity.make({ model: "gpt-4o" })
    const few = { identity, prompts: 10_000, samples: 2, forks: 0 }
    const many = { ...few, prompts: 10_001 }
    assert.deepInclude(yield* withTokens(store, few, false), { inputTokens: 20, outputTokens: 4 })
    assert.deepStrictEqual(yield* withTokens(store, many, false), many)
    assert.deepInclude(yield* withTokens(store, many, true), { inputTokens: 20, outputTokens: 4 })
  }).pipe(Effect.provide(layerOutput(false))))
