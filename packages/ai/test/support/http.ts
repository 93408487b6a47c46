import { LLMock } from "@copilotkit/aimock"
import { CachedModel, RequestModel } from "@llm-cache/ai"
import { type InvalidInput, Persistent, type SampleError } from "@llm-cache/core"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { FetchHttpClient } from "effect/http"

/** A server of chat completions for the agent. Each answer is another one. */
export const makeAimock = Effect.gen(function*() {
  const mock = yield* Effect.acquireRelease(
    Effect.promise(() => LLMock.create({ host: "127.0.0.1", port: 0 })),
    (mock) => Effect.promise(() => mock.stop().catch(() => {}))
  )
  let answers = 0
  for (const userMessage of ["Weather?", "And tomorrow?"]) {
    mock.on({ userMessage, hasToolResult: false }, () => ({
      toolCalls: ["Rome", `Oslo ${answers++}`].map((city, i) => ({
        id: `${answers}-${i}`,
        name: "weather",
        arguments: JSON.stringify({ city })
      }))
    }))
    mock.on({ userMessage, hasToolResult: true }, () => ({ content: `answer ${answers++}, 😀` }))
  }
  mock.onMessage("Best?", () => ({ content: `{"best":"city ${answers++}"}` }))
  mock.onMessage("Report", () => ({ content: `a report of more than a chunk, the answer ${answers++}` }))
  return mock
})

const settings = { model: "gpt-mock", config: { temperature: 1 } } as const

type Place = Persistent.InStore<InvalidInput.InvalidInput | SampleError.StoreError>

/** A cached model over a server. */
export const overHttp = (url: string, place: Place) =>
  CachedModel.layer().pipe(
    Layer.provideMerge(Persistent.layer(place)),
    Layer.provide(RequestModel.from(
      ({ config, model }) =>
        ChatCompletionsModel.layer({
          baseUrl: `${url}/v1`,
          apiKey: Redacted.make("none"),
          retry: Schedule.recurs(0),
          model,
          config
        }),
      settings
    )),
    Layer.provide(FetchHttpClient.layer)
  )

/** A model that replays what `overHttp` recorded. */
export const replicatedOverHttp = (place: Place) =>
  CachedModel.layer().pipe(
    Layer.provideMerge(
      Persistent.layerReplication({ ...place, ...RequestModel.identity({ model: settings.model, ...settings.config }) })
    )
  )
