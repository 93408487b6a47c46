import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpClient, type HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"

/** The clients that programs use. */
export const clients: ReadonlyArray<[name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["fetch", FetchHttpClient.layer]
]

/** A client that answers by itself. */
export const fakeClient = (
  answer: (
    request: HttpClientRequest.HttpClientRequest
  ) => Effect.Effect<Response, HttpClientError.HttpClientError>
): Layer.Layer<HttpClient.HttpClient> =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.map(answer(request), (response) => HttpClientResponse.fromWeb(request, response))
    )
  )

/** A client for tests in which no request may be sent. */
export const noRequests: Layer.Layer<HttpClient.HttpClient> = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make(() => Effect.die(new Error("a request was sent")))
)

/** A client that sends every request to one server, in place of its own origin. */
export const sentTo = (url: string, client: Layer.Layer<HttpClient.HttpClient>): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.mapRequest(HttpClientRequest.updateUrl((asked) => asked.replace(/^https?:\/\/[^/]+/, url)))
    )
  ).pipe(Layer.provide(client))
