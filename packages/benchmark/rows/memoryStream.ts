import { InMemoryCache } from "@langchain/core/caches"
import { LlmModel } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { atMost, fasterThan } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, repeatable, run, sampleEach } from "../support/models.ts"
import { promptsOf, sampleOf } from "../support/payload.ts"
import { aiCached, askEach, langchainCached } from "../support/peers.ts"

const [count, times] = [1000, 2]

export const memoryStream: Row = {
  name: "memory-stream",
  title: "memory hit, one sample, as a Stream",
  operation: "a sample",
  slack: 2,
  checks: [
    atMost(1.7, "Stream.succeed, take(1)"),
    fasterThan("ai: generateText", 12),
    fasterThan("LangChain: invoke", 8)
  ],
  note:
    "Two thirds of it is the stream, which Effect runs in a scope of its own. Ours adds the look-up of a prompt of 1 KB, and " +
    "two effects: one to find the model and the fork, one to look for listeners.",
  setup: async ({ scope }) => {
    const recorded = promptsOf(count)
    const prompts = promptsOf(count)
    const ours = await repeatable(scope)
    await run(ours, sampleEach(recorded))
    const samples = prompts.map((_, i) => sampleOf(i))
    const ai = aiCached()
    const langchain = langchainCached(new InMemoryCache())
    for (const prompt of recorded) {
      await ai(prompt)
      await langchain(prompt)
    }
    return [
      {
        name: "sample, take(1)",
        role: "ours",
        operations: count * times,
        run: () =>
          run(
            ours,
            inTurn(count * times, (i) => LlmModel.sample(prompts[i % count]!).pipe(Stream.take(1), Stream.runCollect))
          )
      },
      {
        name: "Stream.succeed, take(1)",
        role: "floor",
        operations: count * times,
        run: () =>
          Effect.runPromise(
            inTurn(count * times, (i) => Stream.succeed(samples[i % count]!).pipe(Stream.take(1), Stream.runCollect))
          )
      },
      { name: "ai: generateText", role: "peer", operations: count, run: () => askEach(prompts, ai) },
      { name: "LangChain: invoke", role: "peer", operations: count, run: () => askEach(prompts, langchain) }
    ]
  }
}
