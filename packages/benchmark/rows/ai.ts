import { CachedModel, ModelAnswer, RequestModel } from "@llm-cache/ai"
import { Repeatable } from "@llm-cache/core"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { atMost, fasterThan, within } from "../harness/checks.ts"
import type { Row, Setting } from "../harness/row.ts"
import { inTurn } from "../support/models.ts"
import { promptsOf, sampleLength, sampleOf } from "../support/payload.ts"
import { aiCached, askEach } from "../support/peers.ts"

const count = 100

const finish: Response.FinishPartEncoded = {
  type: "finish",
  reason: "stop",
  usage: {
    inputTokens: { uncached: 256, total: 256, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 512, text: 512, reasoning: undefined }
  },
  response: undefined
}

const deltaCount = 1000

const deltas = Array.from({ length: deltaCount }, (_, i) => {
  const [start, end] = [i, i + 1].map((part) => Math.floor(part * sampleLength / deltaCount))
  return sampleOf(0).slice(start, end)
})

const streamParts: ReadonlyArray<Response.StreamPartEncoded> = [
  { type: "text-start", id: "1" },
  ...deltas.map((delta) => ({ type: "text-delta", id: "1", delta }) as const),
  { type: "text-end", id: "1" },
  finish
]

/** A model that answers at once. */
const mock = LanguageModel.make({
  generateText: ({ responseFormat }) =>
    Effect.sync(() => [
      {
        type: "text",
        text: responseFormat.type === "text" ? sampleOf(0) : JSON.stringify({ summary: sampleOf(0), stars: 5 })
      },
      finish
    ]),
  streamText: () => Stream.fromIterable(streamParts)
})

/** The mock, and a cached model over it. */
const models = async ({ scope }: Setting) => {
  const bare = await Effect.runPromise(mock)
  const cached = await Effect.runPromise(Scope.provide(
    Effect.gen(function*() {
      const requests = yield* RequestModel.make(bare, { model: "bench", temperature: 1 })
      return yield* CachedModel.make(yield* Repeatable.make(requests))
    }),
    scope
  ))
  return { bare, cached }
}

const Review = Schema.Struct({ summary: Schema.String, stars: Schema.Int })

const toolkit = Toolkit.make(...Array.from({ length: 8 }, (_, i) =>
  Tool.make(`tool_${i}`, {
    description: `Does the work of tool ${i}`,
    parameters: Schema.Struct({
      path: Schema.String,
      lines: Schema.Array(Schema.Struct({ from: Schema.Int, to: Schema.Int, text: Schema.String })),
      mode: Schema.Literals(["read", "write", "append"])
    }),
    success: Schema.String
  })))

export const aiText: Row = {
  name: "ai-text",
  title: "`generateText` of Effect, replayed",
  operation: "a call",
  time: "processor",
  warmUp: 300,
  slack: 1.3,
  checks: [
    atMost(3, "a mock"),
    atMost(3, "a mock, 8 tools", "replayed, 8 tools"),
    atMost(3, "a mock, `generateObject`", "replayed, `generateObject`"),
    fasterThan("ai: wrapLanguageModel and a Map", 1)
  ],
  setup: async (setting) => {
    const prompts = promptsOf(count)
    const { bare, cached } = await models(setting)
    const tools = await Effect.runPromise(Effect.provide(
      toolkit,
      toolkit.toLayer(Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`tool_${i}`, () => Effect.succeed("")])))
    ))
    const ai = aiCached()
    const texts = (model: LanguageModel.LanguageModel) => () =>
      Effect.runPromise(
        inTurn(count, (i) => Effect.map(model.generateText({ prompt: prompts[i]! }), ({ text }) => text))
      )
    const withTools = (model: LanguageModel.LanguageModel) => () =>
      Effect.runPromise(
        inTurn(
          count,
          (i) => Effect.map(model.generateText({ prompt: prompts[i]!, toolkit: tools }), ({ text }) => text)
        )
      )
    const objects = (model: LanguageModel.LanguageModel) => () =>
      Effect.runPromise(
        inTurn(
          count,
          (i) => Effect.map(model.generateObject({ prompt: prompts[i]!, schema: Review }), ({ value }) => value.summary)
        )
      )
    return [
      { name: "replayed", role: "ours", operations: count, run: texts(cached) },
      { name: "a mock", role: "floor", operations: count, run: texts(bare) },
      { name: "replayed, 8 tools", role: "ours", operations: count, run: withTools(cached) },
      { name: "a mock, 8 tools", role: "floor", operations: count, run: withTools(bare) },
      { name: "replayed, `generateObject`", role: "ours", operations: count, run: objects(cached) },
      { name: "a mock, `generateObject`", role: "floor", operations: count, run: objects(bare) },
      { name: "ai: wrapLanguageModel and a Map", role: "peer", operations: count, run: () => askEach(prompts, ai) }
    ]
  }
}

export const aiStream: Row = {
  name: "ai-stream",
  title: "`streamText` of Effect, 1,000 deltas, replayed",
  operation: "a stream",
  time: "processor",
  warmUp: 300,
  slack: 1.3,
  checks: [atMost(2, "a mock")],
  setup: async (setting) => {
    const prompts = promptsOf(4)
    const { bare, cached } = await models(setting)
    const streams = (model: LanguageModel.LanguageModel) => () =>
      Effect.runPromise(inTurn(prompts.length, (i) =>
        Effect.map(
          Stream.runFold(
            model.streamText({ prompt: prompts[i]! }),
            () => "",
            (text, part) => part.type === "text-delta" ? text + part.delta : text
          ),
          (text) => text
        )))
    return [
      { name: "replayed", role: "ours", operations: prompts.length, run: streams(cached) },
      { name: "a mock", role: "floor", operations: prompts.length, run: streams(bare) }
    ]
  }
}

export const aiSize: Row = {
  name: "ai-size",
  title: "a recorded stream of 1,000 deltas, 2 KB of text",
  operation: "a sample",
  unit: "kB",
  rounds: 1,
  checks: [within(10, "", "kB")],
  setup: async () => {
    const size = (text: string) => () => Promise.resolve(Buffer.byteLength(text) / 1000)
    return [
      { name: "a sample", role: "ours", gauge: size(ModelAnswer.encode({ of: "stream", parts: streamParts })) },
      { name: "its parts as JSON", role: "floor", gauge: size(JSON.stringify(streamParts)) }
    ]
  }
}
