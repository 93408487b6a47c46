/**
 * Other libraries, used as in their documentation.
 */
import type { BaseCache } from "@langchain/core/caches"
import { FakeListChatModel } from "@langchain/core/utils/testing"
import { generateText, type LanguageModelMiddleware, wrapLanguageModel } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { Persistable } from "effect/persistence"
import * as Schema from "effect/Schema"
import { sampleLength, sampleOf, sha256 } from "./payload.ts"

type Generated = Awaited<ReturnType<NonNullable<LanguageModelMiddleware["wrapGenerate"]>>>

/** `ai`: a model in a middleware that keeps results in a `Map`, by the JSON of the call. */
export const aiCached = (length: number = sampleLength): (prompt: string) => Promise<string> => {
  const cache = new Map<string, Generated>()
  const model = wrapLanguageModel({
    model: new MockLanguageModelV4({
      doGenerate: async ({ prompt }) => ({
        content: [{ type: "text", text: sampleOf(Number.parseInt(textOf(prompt), 10), length) }],
        finishReason: { unified: "stop", raw: "stop" },
        usage: {
          inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
          outputTokens: { total: 1, text: 1, reasoning: 0 }
        },
        warnings: []
      })
    }),
    middleware: {
      specificationVersion: "v4",
      wrapGenerate: async ({ doGenerate, model, params }) => {
        const key = JSON.stringify({ provider: model.provider, modelId: model.modelId, params })
        const cached = cache.get(key)
        if (cached !== undefined) return cached
        const generated = await doGenerate()
        cache.set(key, generated)
        return generated
      }
    }
  })
  return async (prompt) => (await generateText({ model, prompt })).text
}

const textOf = (prompt: ReadonlyArray<{ readonly content: unknown }>): string => {
  const content = prompt[0]!.content as ReadonlyArray<{ readonly text: string }>
  return content[0]!.text
}

/** LangChain: a chat model with a cache. */
export const langchainCached = (
  cache: BaseCache,
  length: number = sampleLength
): (prompt: string) => Promise<string> => {
  const model = new FakeListChatModel({ responses: [sampleOf(0, length)], cache })
  return async (prompt) => (await model.invoke(prompt)).content as string
}

/** Asks for a sample of each prompt, one after the other, and adds up the characters. */
export const askEach = async (
  prompts: ReadonlyArray<string>,
  ask: (prompt: string) => Promise<string>
): Promise<number> => {
  let characters = 0
  for (const prompt of prompts) characters += (await ask(prompt)).length
  return characters
}

/** Effect's `PersistedCache` needs a class for its requests. */
export class PromptRequest extends Persistable.Class<{ payload: { readonly prompt: string } }>()("PromptRequest", {
  primaryKey: ({ prompt }) => sha256(prompt),
  success: Schema.String
}) {}
