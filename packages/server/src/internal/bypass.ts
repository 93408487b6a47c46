import * as NodeStream from "@effect/platform-node/NodeStream"
import type { JsonObject } from "@llm-cache/core/Sample"
import { ProviderError, Timeout } from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RequestInit } from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import type * as Http from "node:http"
import type { Place } from "../Place.ts"
import type { Protocol } from "../Protocol.ts"
import type { Runs } from "../Runs.ts"
import type { Route } from "../Upstream.ts"
import { failureResponse, toFailure } from "./failure.ts"
import { forwardedHeaders, passedQuery } from "./guard.ts"
import { asString } from "./json.ts"
import { fromClientError, readBytes, readText, redactor, secretsOf, withKey } from "./sendRequest.ts"

interface Options {
  readonly routes: (model: string, api: Route["upstream"]["api"]) => Route | undefined
  readonly runs: Runs
  readonly replication: boolean
  readonly token: string | undefined
  /** How long the head of an answer may take. */
  readonly timeout: Duration.Duration
}

interface Passed {
  readonly place: Place
  /** The vendor that it is for. */
  readonly protocol: Pick<Protocol, "api" | "failure">
  /** The path behind `/v1`. */
  readonly path: string
  /**
   * The body of the request, if it was read.
   *
   * @default the unread body
   */
  readonly body?: JsonObject | undefined
  /** Why it is not cached. */
  readonly why?: string | undefined
}

export type Bypass = (
  incoming: Http.IncomingMessage,
  passed: Passed
) => Effect.Effect<HttpServerResponse.HttpServerResponse>

/** Passes requests on to an upstream that are of its API and not cached. The trace of a run has them. */
export const makeBypass = Effect.fnUntraced(function*({ replication, routes, runs, timeout, token }: Options) {
  const client = yield* HttpClient.HttpClient

  const send = (incoming: Http.IncomingMessage, { body, path, protocol }: Passed) => {
    const route = routes(asString(body?.["model"]) ?? "", protocol.api)
    if (route === undefined) return Effect.succeed(notFound(protocol, `${path}: no upstream is given to ask for it`))
    const { upstream } = route
    const url = `${upstream.url}${path}`
    // A path with `..` leads out of its API.
    if (!URL.canParse(url) || !new URL(url).href.startsWith(`${upstream.url}/`)) {
      return Effect.succeed(notFound(protocol, path))
    }
    const key = upstream.key && Redacted.value(upstream.key)
    const given = forwardedHeaders(incoming.headers, token)
    const headers = withKey(given, upstream, upstream.api)
    const query = passedQuery(incoming.url)
    const redact = redactor([...secretsOf(given, query), key])
    const request = HttpClientRequest.make(incoming.method as HttpMethod)(url + query, {
      headers: { ...headers, "accept-encoding": "identity" }
    })
    const sent = body === undefined
      ? withBody(request, incoming)
      : withReadBody(request, route.model === "" ? body : { ...body, model: route.model })
    return Effect.gen(function*() {
      const response = yield* Effect.mapError(
        Effect.provideService(client.execute(sent), RequestInit, { redirect: "manual" }),
        (error) => fromClientError(error, upstream.url)
      )
      const headers = { ...answerHeaders(response.headers), ...pageless }
      const { status } = response
      if (status >= 400) {
        return HttpServerResponse.text(redact(yield* readText(response, upstream.url)), { status, headers })
      }
      return HttpServerResponse.stream(readBytes(response, upstream.url), {
        status,
        headers,
        contentType: response.headers["content-type"]
      })
    }).pipe(
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => new Timeout({ description: `no answer of ${upstream.name} in ${Duration.format(timeout)}` })
      }),
      Effect.catch((reason) =>
        Effect.succeed(
          failureResponse(protocol, toFailure(new ProviderError({ provider: upstream.name, reason })))
        )
      )
    )
  }

  const bypass: Bypass = (incoming, passed) =>
    Effect.gen(function*() {
      const { path, place, protocol, why } = passed
      const { method = "GET" } = incoming
      const run = place.run === undefined ? undefined : yield* runs.use(place.run)
      const response = replication || place.replication
        ? failureResponse(protocol, {
          status: 404,
          code: "replication_cache_miss",
          message: `replication asks no upstream, and \`${method} ${path.slice(0, 200)}\` is never cached${
            why === undefined ? "" : `: ${why}`
          }`,
          headers: { "x-should-retry": "false" }
        })
        : yield* send(incoming, passed)
      yield* run?.trace?.bypass(method, path.slice(0, 200), response.status) ?? Effect.void
      return response
    }).pipe(Effect.catch((error) => Effect.succeed(failureResponse(passed.protocol, toFailure(error)))))
  return bypass
})

const notFound = (protocol: Passed["protocol"], what: string) =>
  failureResponse(protocol, { status: 404, message: `there is no ${what.slice(0, 200)}`, code: "not_found" })

const withReadBody = (request: HttpClientRequest.HttpClientRequest, body: JsonObject) =>
  HttpClientRequest.bodyText(
    HttpClientRequest.removeHeader(request, "content-encoding"),
    JSON.stringify(body),
    "application/json"
  )

const withBody = (request: HttpClientRequest.HttpClientRequest, incoming: Http.IncomingMessage) => {
  const length = incoming.headers["content-length"]
  if (length === undefined && incoming.headers["transfer-encoding"] === undefined) return request
  return HttpClientRequest.bodyStream(
    request,
    NodeStream.fromReadable<Uint8Array, unknown>({ evaluate: () => incoming, onError: (error) => error }),
    {
      contentType: incoming.headers["content-type"],
      contentLength: length === undefined ? undefined : Number(length)
    }
  )
}

/** The headers of an answer, without those of a connection, of a site, and of its packing and length, which may change. */
const answerHeaders = (headers: { readonly [name: string]: string }): { readonly [name: string]: string } =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !ofConnection.test(name)))

const ofConnection =
  /^(?:connection|keep-alive|proxy-.*|set-cookie|trailer|transfer-encoding|upgrade|content-encoding|content-length|access-control-.*)$/

/** A page of an upstream must not run here. */
const pageless = { "x-content-type-options": "nosniff", "content-security-policy": "sandbox; default-src 'none'" }
