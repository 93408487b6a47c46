import type { JsonObject } from "@llm-cache/core/Sample"
import * as Effect from "effect/Effect"
import { RequestInit } from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Http from "node:http"
import type { Api, Route } from "../Upstream.ts"
import { passedHeaders, passedQuery } from "./guard.ts"
import { objectOf } from "./json.ts"
import { readText, withKey } from "./sendRequest.ts"

interface Options {
  readonly routes: (model: string, api: Api) => Route | undefined
  readonly token: string | undefined
}

/** An upstream's answer about its models, `undefined` if it gives none in time. */
export type UpstreamModels = (
  incoming: Http.IncomingMessage,
  path: string,
  api: Api
) => Effect.Effect<JsonObject | undefined>

/** Programs choose a model from the list of their server, so they get it as long as the server answers. */
export const makeUpstreamModels = Effect.fnUntraced(function*({ routes, token }: Options) {
  const client = yield* HttpClient.HttpClient
  const ask: UpstreamModels = (incoming, path, api) => {
    const upstream = routes("", api)?.upstream
    if (upstream?.api !== api) return Effect.undefined
    const request = HttpClientRequest.get(`${upstream.url}${path}${passedQuery(incoming.url)}`, {
      headers: { ...withKey(passedHeaders(incoming.headers, token), upstream, api), "accept-encoding": "identity" }
    })
    return Effect.provideService(client.execute(request), RequestInit, { redirect: "manual" }).pipe(
      Effect.flatMap((response) =>
        response.status === 200 ? Effect.map(readText(response, upstream.url), objectOf) : Effect.undefined
      ),
      Effect.timeout("5 seconds"),
      Effect.orElseSucceed(() => undefined)
    )
  }
  return ask
})
