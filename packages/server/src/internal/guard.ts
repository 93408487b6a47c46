import * as Crypto from "node:crypto"
import type * as Http from "node:http"

/** The clients of the server. */
export interface Guard {
  /** Names of hosts, without ports, beside those of loopback. */
  readonly hosts: ReadonlySet<string>
  readonly token: string | undefined
}

/** Why a request is refused. */
export interface Refusal {
  readonly status: number
  readonly message: string
  readonly code: string
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i

/** Whether only its own machine reaches a server with this address. */
export const isLoopback = (host: string): boolean => loopback.test(host) || host === "::1"

const tokenHeader = "x-llm-cache-token"
export const tokenCookie = "llm-cache-token"

/** A web page must not spend money, nor read samples: not by its own origin, nor by a name that it lets lead here. */
export const refusalOf = (
  { headers, url = "" }: Http.IncomingMessage,
  { hosts, token }: Guard
): Refusal | undefined => {
  const host = nameOf(headers.host ?? "")
  if (!loopback.test(host) && !hosts.has(host)) {
    return {
      status: 403,
      code: "host_not_allowed",
      message: `the host ${JSON.stringify(host.slice(0, 100))} is not allowed: start the server with \`--allow-host\``
    }
  }
  const { origin } = headers
  const site = headers["sec-fetch-site"]
  const isForeign = origin !== undefined && !/^https?:\/\//.test(origin)
    || (origin !== undefined && origin.replace(/^https?:\/\//, "") !== headers.host)
    || (site !== undefined && site !== "same-origin" && site !== "none")
  if (isForeign) return { status: 403, code: "foreign_origin", message: "web pages of other origins are refused" }
  if (token === undefined || tokensOf(headers, url).some((given) => isEqual(given, token))) return undefined
  return {
    status: 401,
    code: "token_missing",
    message: `the server asks for its token: send it as the API key, or in the header \`${tokenHeader}\``
  }
}

const nameOf = (host: string): string => host.replace(/:\d*$/, "").toLowerCase()

const tokensOf = (headers: Http.IncomingHttpHeaders, url: string): ReadonlyArray<string> =>
  [
    headers[tokenHeader],
    headers.authorization?.replace(/^Bearer\s+/i, ""),
    headers["x-api-key"],
    decoded(new RegExp(`(?:^|;\\s*)${tokenCookie}=([^;]*)`).exec(headers.cookie ?? "")?.[1]),
    tokenInLink(url)
  ].filter((given) => typeof given === "string")

const decoded = (encoded: string | undefined): string | undefined => {
  try {
    return encoded && decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

/** The token of a link to a page. */
export const tokenInLink = (url: string): string | undefined => {
  const query = url.indexOf("?")
  return query < 0 ? undefined : new URLSearchParams(url.slice(query)).get("token") ?? undefined
}

/** The query of a URL that goes on to an upstream: without the token, with its question mark. */
export const passedQuery = (url = ""): string => {
  const query = url.indexOf("?")
  if (query < 0) return ""
  const fields = new URLSearchParams(url.slice(query))
  fields.delete("token")
  return fields.size === 0 ? "" : `?${fields}`
}

const isEqual = (one: string, other: string): boolean => Crypto.timingSafeEqual(digest(one), digest(other))

const digest = (text: string) => Crypto.createHash("sha256").update(text).digest()

/** The headers of a client that go on to an upstream with a request of the server. */
export const passedHeaders = (headers: Http.IncomingHttpHeaders, token: string | undefined) =>
  headersFor(headers, token, (name) => !ofConnection.test(name) && !ofRequest.test(name))

/** The headers of a client's request that goes on to an upstream as it is. */
export const forwardedHeaders = (headers: Http.IncomingHttpHeaders, token: string | undefined) =>
  headersFor(headers, token, (name) => !ofConnection.test(name))

const ofConnection =
  /^(?:connection|content-length|cookie|expect|host|http2-settings|keep-alive|llm-cache-.*|origin|proxy-.*|referer|sec-.*|te|trailer|transfer-encoding|upgrade|x-llm-cache-token)$/

// A request of the server has a body of its own, and several of them may serve one of a client.
const ofRequest = /^(?:accept|accept-.*|content-.*|if-.*|range|(?:x-)?idempotency-key|x-stainless-.*)$/

// The server's own token is none of them.
const headersFor = (
  headers: Http.IncomingHttpHeaders,
  token: string | undefined,
  isPassed: (name: string) => boolean
): { readonly [name: string]: string } => {
  const passed: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string" || !isPassed(name)) continue
    if (token === undefined || !isEqual(value.replace(/^Bearer\s+/i, ""), token)) passed[name] = value
  }
  return passed
}
