import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Retry from "@llm-cache/core/Retry"
import { ProviderError } from "@llm-cache/core/SampleError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import type { Call, Protocol, StreamEvent } from "../Protocol.ts"
import type { Api, Route, Upstream } from "../Upstream.ts"
import { sendRequest } from "./sendRequest.ts"

/** The request of a client that may lead to a request to an upstream. */
export interface ClientCall {
  readonly protocol: Protocol
  readonly call: Call
  /** The client's headers that go on to the upstream. */
  readonly headers: { readonly [name: string]: string }
  /** The client's query that goes on, with its question mark. */
  readonly query: string
  /** Gets the pieces of a streamed sample. */
  readonly onPieces?: ((events: ReadonlyArray<StreamEvent>) => void) | undefined
}

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
  const client = yield* HttpClient.HttpClient
  const retry = Retry.make(schedule)
  const turns = new Map<Upstream, Semaphore.Semaphore>()
  const turnOf = (upstream: Upstream) => {
    let turn = turns.get(upstream)
    if (turn === undefined) turns.set(upstream, turn = Semaphore.makeUnsafe(upstream.inFlight ?? 64))
    return turn
  }
  const models = new Map<string, LlmModel.Model>()

  const makeModel = ({ model, upstream }: Route, protocol: Protocol) =>
    LlmModel.make({
      model,
      provider: upstream.name,
      maxBatch: protocol.hasCount ? upstream.maxBatch : 1,
      concurrency: 8,
      uniqueResponseIds: upstream.uniqueResponseIds,
      generate: ({ n, onRetry }) =>
        Effect.flatMap(CurrentCall, (current) => {
          const call = isLive ? current! : { ...current!, onPieces: undefined }
          const send = sendRequest(client, { route: { model, upstream }, current: call, n, timeout })
          return retry(
            Effect.mapError(
              turnOf(upstream).withPermits(1)(send),
              (reason) => new ProviderError({ provider: `${upstream.name} (${model})`, reason })
            ),
            onRetry
          )
        })
    })

  const modelOf = (route: Route, protocol: Protocol): Effect.Effect<LlmModel.Model, InvalidInput> => {
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
