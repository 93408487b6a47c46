import { InMemoryCache } from "@langchain/core/caches"
import { LlmModel } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KeyValueStore, PersistedCache, Persistence } from "effect/persistence"
import * as Scope from "effect/Scope"
import { atMost, fasterThan, fasterThanOriginal } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, lengthOf, repeatable, run, sampleEach } from "../support/models.ts"
import { promptsOf, sampleOf, sha256 } from "../support/payload.ts"
import { aiCached, askEach, langchainCached, PromptRequest } from "../support/peers.ts"

/** The number of prompts in memory; a call samples each several times. */
const [count, times] = [1000, 5]

export const memoryEffect: Row = {
  name: "memory-effect",
  title: "memory hit, one sample, as an Effect",
  operation: "a sample",
  slack: 2,
  checks: [
    atMost(1.4, "Map + sha256"),
    fasterThanOriginal(2.5),
    fasterThan("ai: generateText", 12),
    fasterThan("LangChain: invoke", 8)
  ],
  setup: async ({ scope }) => {
    const recorded = promptsOf(count)
    // New strings, since a program that runs again makes new ones.
    const prompts = promptsOf(count)

    const ours = await repeatable(scope)
    await run(ours, sampleEach(recorded))

    const map = new Map(recorded.map((prompt, i) => [sha256(prompt), sampleOf(i)]))

    const ai = aiCached()
    const langchain = langchainCached(new InMemoryCache())
    for (const prompt of recorded) {
      await ai(prompt)
      await langchain(prompt)
    }

    const services = await Effect.runPromise(
      Layer.buildWithScope(Layer.merge(KeyValueStore.layerMemory, Persistence.layerMemory), scope)
    )
    const inEffect = <A, E>(
      self: Effect.Effect<A, E, KeyValueStore.KeyValueStore | Persistence.Persistence | Scope.Scope>
    ) => Effect.runPromise(self.pipe(Scope.provide(scope), Effect.provide(services)))
    const keyValues = await inEffect(KeyValueStore.KeyValueStore)
    await inEffect(inTurn(count, (i) => Effect.as(keyValues.set(sha256(recorded[i]!), sampleOf(i)), "")))
    const persisted = await inEffect(PersistedCache.make(
      ({ prompt }: PromptRequest) => Effect.succeed(sampleOf(Number.parseInt(prompt, 10))),
      { storeId: "samples", timeToLive: () => Infinity, inMemoryTTL: () => Infinity, inMemoryCapacity: count }
    ))
    await inEffect(inTurn(count, (i) => persisted.get(new PromptRequest({ prompt: recorded[i]! }))))

    return [
      {
        name: "sampleOne",
        role: "ours",
        operations: count * times,
        run: () => run(ours, inTurn(count * times, (i) => LlmModel.sampleOne(prompts[i % count]!)))
      },
      {
        name: "Map + sha256",
        role: "floor",
        operations: count * times,
        run: () => {
          let characters = 0
          for (let i = 0; i < count * times; i++) characters += lengthOf(map.get(sha256(prompts[i % count]!))!)
          return characters
        }
      },
      {
        name: "Map + sha256, as Effects",
        role: "floor",
        operations: count * times,
        run: () =>
          Effect.runPromise(inTurn(count * times, (i) => Effect.sync(() => map.get(sha256(prompts[i % count]!))!)))
      },
      { name: "ai: generateText", role: "peer", operations: count, run: () => askEach(prompts, ai) },
      { name: "LangChain: invoke", role: "peer", operations: count, run: () => askEach(prompts, langchain) },
      {
        name: "Effect: KeyValueStore",
        role: "peer",
        operations: count,
        run: () => inEffect(inTurn(count, (i) => Effect.map(keyValues.get(sha256(prompts[i]!)), (text) => text!)))
      },
      {
        name: "Effect: PersistedCache",
        role: "peer",
        operations: count,
        run: () => inEffect(inTurn(count, (i) => persisted.get(new PromptRequest({ prompt: prompts[i]! }))))
      }
    ]
  }
}
