import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Retry from "@llm-cache/core/Retry"
import type { JsonObject } from "@llm-cache/core/Sample"
import { ProviderError, type SampleError } from "@llm-cache/core/SampleError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import type { Call, Endpoint, StreamEvent } from "../Protocol.ts"
import type { Api, Route, Upstream } from "../Upstream.ts"
import { sendRequest, type UpstreamRequest } from "./sendRequest.ts"

/** The request of a client that may lead to a request to an upstream. */
export interface ClientCall {
  readonly protocol: Endpoint
  readonly call: Call
  /** The client's headers that go on to the upstream. */
  readonly headers: { readonly [name: string]: string }
  /** The client's query that goes on, with its question mark. */
  readonly query: string
  /**
   * Makes one request of those for several prompts.
   *
   * @default each prompt is a request
   */
  readonly join?: Join | undefined
  /** Gets the pieces of a streamed sample. */
  readonly onPieces?: ((events: ReadonlyArray<StreamEvent>) => void) | undefined
}

/** Gets a sample of a prompt by a request that may bring those of other prompts too. */
export type Join = (
  prompt: string,
  ask: (body: JsonObject, n: number) => Effect.Effect<LlmModel.Generation, SampleError>
) => Effect.Effect<LlmModel.Generation, SampleError>

export const CurrentCall = Context.Reference<ClientCall | undefined>("@llm-cache/server/CurrentCall", {
  defaultValue: () => undefined
})

export interface Options {
  readonly routes: (model: string, api: Api) => Route | undefined
  readonly timeout: Duration.Duration
  readonly retry: Schedule.Schedule<unknown, ProviderError> | undefined
  /** Whether a sample that is requested for a draw is surely its result, so that clients may see it before. */
  readonly isLive: boolean
}

/** A model that serves every identity: it asks the upstream that the client's request leads to. */
export const makeSource = Effect.fnUntraced(function*(
  { isLive, retry: schedule, routes, timeout }: Options
): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient.HttpClient> {
  const http = yield* HttpClient.HttpClient
  const send = (request: UpstreamRequest) => sendRequest(http, request)
  const retry = Retry.make(schedule)
  const turns = new Map<Upstream, Semaphore.Semaphore>()
  const turnOf = (upstream: Upstream) => {
    let turn = turns.get(upstream)
    if (turn === undefined) turns.set(upstream, turn = Semaphore.makeUnsafe(upstream.inFlight ?? 64))
    return turn
  }
  const models = new Map<string, LlmModel.Model>()

  const makeModel = ({ model, upstream }: Route, protocol: Endpoint) =>
    LlmModel.make({
      model,
      provider: upstream.name,
      maxBatch: protocol.hasCount ? upstream.maxBatch : 1,
      concurrency: 8,
      uniqueResponseIds: upstream.uniqueResponseIds,
      generate: ({ n, onRetry, prompt }) =>
        Effect.flatMap(CurrentCall, (current) => {
          const client = isLive ? current! : { ...current!, onPieces: undefined }
          const ask = (current: ClientCall, n: number) =>
            retry(
              Effect.mapError(
                turnOf(upstream).withPermits(1)(send({ route: { model, upstream }, current, n, timeout })),
                (reason) => new ProviderError({ provider: `${upstream.name} (${model})`, reason })
              ),
              onRetry
            )
          return client.join === undefined
            ? ask(client, n)
            : client.join(prompt, (body, n) => ask({ ...client, call: { ...client.call, body } }, n))
        })
    })

  const modelOf = (route: Route, protocol: Endpoint): Effect.Effect<LlmModel.Model, InvalidInput> => {
    const name = JSON.stringify([route.upstream.name, route.model, protocol.name])
    const known = models.get(name)
    if (known !== undefined) return Effect.succeed(known)
    // A model keeps the context in which it is made, which must not be that of one request.
    return Effect.map(Effect.updateContext(makeModel(route, protocol), () => Context.empty()), (model) => {
      models.set(name, model)
      return model
    })
  }

  return LlmModel.fromDraw({
    identity: yield* Identity.make({ model: "any" }),
    sequence: "new",
    requestSize: (missing) => missing,
    restore: undefined,
    giveBack: undefined,
    stores: new Map(),
    draw: (key, position, batch) =>
      Effect.flatMap(CurrentCall, (current) => {
        const route = current && routes(key.identity.name, current.protocol.api)
        return route === undefined || current === undefined
          ? Effect.fail(
            new InvalidInput({
              module: "Server",
              description: `no upstream is given to ask for ${key.identity.name}: start the server with one`
            })
          )
          : Effect.flatMap(modelOf(route, current.protocol), (model) => model.draw(key, position, batch))
      })
  })
})
