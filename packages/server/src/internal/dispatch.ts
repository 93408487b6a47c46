import type { Model } from "@llm-cache/core/Model"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import type { HttpServerError } from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import type * as Http from "node:http"
import * as ChatCompletions from "../ChatCompletions.ts"
import * as Completions from "../Completions.ts"
import * as Embeddings from "../Embeddings.ts"
import * as Messages from "../Messages.ts"
import * as Place from "../Place.ts"
import type { Protocol } from "../Protocol.ts"
import * as Responses from "../Responses.ts"
import type { Runs } from "../Runs.ts"
import type { Alias } from "../Upstream.ts"
import type { Bypass } from "./bypass.ts"
import { complete } from "./complete.ts"
import { embed } from "./embed.ts"
import { failureResponse, toFailure } from "./failure.ts"
import { type Guard, passedHeaders, refusalOf, tokenCookie, tokenInLink } from "./guard.ts"
import type { KeyOf } from "./keys.ts"
import { modelList } from "./modelList.ts"
import { runsApi } from "./runsApi.ts"
import type { UpstreamModels } from "./upstreamModels.ts"

/** The most requests that wait at once. */
const mostWaiting = 10_000

const protocols: ReadonlyArray<Protocol> = [
  ChatCompletions.protocol,
  Responses.protocol,
  Completions.protocol,
  Messages.protocol
]

interface Options {
  readonly model: Model
  readonly runs: Runs
  readonly keyOf: KeyOf
  readonly store: Store
  readonly aliases: ReadonlyArray<Alias>
  readonly guard: Guard
  readonly bypass: Bypass
  readonly upstreamModels: UpstreamModels
  readonly replication: boolean
  readonly stopping: Effect.Effect<void>
}

/** Finds the answer to a request by its path. */
export const makeDispatch = (
  { aliases, bypass, guard, keyOf, model, replication, runs, stopping, store, upstreamModels }: Options
) => {
  let waiting = 0
  const counted = <A>(self: Effect.Effect<A>): Effect.Effect<A> =>
    Effect.suspend(() => {
      waiting++
      return Effect.ensuring(self, Effect.sync(() => waiting--))
    })

  return <R>(
    incoming: Http.IncomingMessage,
    response: Http.ServerResponse,
    pages: Effect.Effect<HttpServerResponse.HttpServerResponse, HttpServerError, R> | undefined
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> => {
    const { method = "GET", url = "/" } = incoming
    const refusal = refusalOf(incoming, guard)
    const told = vendorOf(incoming)
    if (refusal !== undefined) return Effect.succeed(failureResponse(told, refusal))
    if (guard.token !== undefined && method === "GET" && tokenInLink(url) !== undefined) {
      return Effect.succeed(withCookie(url, guard.token))
    }
    const path = pathOf(url)
    const split = placeOf(path, incoming.headers["llm-cache-place"])
    if (Result.isFailure(split)) {
      return Effect.succeed(failureResponse(told, toFailure(split.failure)))
    }
    const { place, rest } = split.success
    const isRead = method === "GET" || method === "HEAD"
    if (rest === "/health" && isRead) return Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" }))
    if (/^\/llm-cache\/runs(?:\/|$)/.test(rest)) {
      return runsApi(
        { runs, stopping },
        incoming,
        rest.slice("/llm-cache/runs".length),
        `http://${incoming.headers.host}`
      )
    }
    const ofApi = withoutVersion(rest)
    if (/^\/models(?:\/|$)/.test(ofApi) && isRead) {
      return modelList({
        store,
        aliases,
        encodedName: ofApi.slice("/models/".length),
        protocol: told,
        upstream: replication || place.replication
          ? Effect.undefined
          : upstreamModels(incoming, ofApi, told.api)
      })
    }
    const isEmbedding = ofApi === Embeddings.endpoint.path && method === "POST"
    const protocol = isEmbedding ? told : protocolOf(ofApi)
    if (protocol === undefined || method !== "POST") {
      if (rest.startsWith("/v1/")) {
        return counted(bypass(incoming, { place, protocol: told, path: ofApi }))
      }
      const notFound = failureResponse(told, {
        status: 404,
        message: `there is no ${path.slice(0, 200)}`,
        code: "not_found"
      })
      if (pages === undefined) return Effect.succeed(notFound)
      return pages.pipe(
        Effect.catch((error) => error.reason._tag === "RouteNotFound" ? Effect.succeed(notFound) : Effect.die(error))
      )
    }
    if (waiting >= mostWaiting) {
      return Effect.succeed(failureResponse(protocol, {
        status: 429,
        message: `${mostWaiting} requests wait already: try again later`,
        headers: { "retry-after": "1" }
      }))
    }
    const headers = passedHeaders(incoming.headers, guard.token)
    const request = { model, bypass, runs, keyOf, place, headers, incoming, response }
    return counted(isEmbedding ? embed(request) : complete({ ...request, protocol }))
  }
}

/** The protocol that says how a failure looks, if the path names none. */
export const vendorOf = ({ headers, url = "" }: Http.IncomingMessage): Protocol =>
  headers["anthropic-version"] !== undefined || /\/v1\/messages(?:[/?]|$)/.test(url)
    ? Messages.protocol
    : ChatCompletions.protocol

/** The place of a request for samples, and its protocol. `undefined` for every other request. */
export const completionOf = ({ headers, method, url = "/" }: Http.IncomingMessage) => {
  const split = method === "POST" ? placeOf(pathOf(url), headers["llm-cache-place"]) : undefined
  if (split === undefined || Result.isFailure(split)) return undefined
  const { place, rest } = split.success
  const protocol = protocolOf(withoutVersion(rest))
  return protocol && { place, protocol }
}

const pathOf = (url: string): string => url.split("?", 1)[0]!

/** The path in the API. Some clients add `/v1` to a base URL that has it, double a slash, or end a path with one. */
const withoutVersion = (path: string): string =>
  path.replaceAll(/\/{2,}/g, "/").replace(/^(?:\/v1)+(?=\/)/, "").replace(/(?<=[^/])\/$/, "")

const protocolOf = (path: string): Protocol | undefined => protocols.find((protocol) => protocol.path === path)

const placeOf = (path: string, header: string | ReadonlyArray<string> | undefined) => {
  const split = Place.split(path)
  return typeof header === "string"
    ? Result.flatMap(split, ({ place, rest }) => Result.map(Place.parse(header, place), (place) => ({ place, rest })))
    : split
}

const withCookie = (url: string, token: string) => {
  const link = new URL(url, "http://localhost")
  link.searchParams.delete("token")
  return HttpServerResponse.empty({
    status: 303,
    headers: {
      location: link.pathname + link.search,
      "set-cookie": `${tokenCookie}=${encodeURIComponent(token)}; HttpOnly; SameSite=Strict; Path=/`
    }
  })
}
