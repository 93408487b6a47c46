import type { SampleError } from "@llm-cache/core/SampleError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { BadPlace } from "../Place.ts"
import type { BadRequest, Failure, Protocol } from "../Protocol.ts"
import type { RunInUse } from "../Runs.ts"
import type { BadBody } from "./body.ts"
import { type UpstreamAnswer, upstreamAnswerOf } from "./upstreamAnswer.ts"

/** A failure, and its headers. */
export interface ToldFailure extends Failure {
  readonly headers?: { readonly [name: string]: string } | undefined
  /** The upstream's own answer, which the client gets in place of ours. */
  readonly told?: UpstreamAnswer | undefined
}

/** Clients retry some statuses by themselves, and stop at this header. */
const notAgain = { "x-should-retry": "false" }

/** The status and the words for an error. */
export const toFailure = (error: SampleError | BadRequest | BadPlace | BadBody | RunInUse): ToldFailure => {
  switch (error._tag) {
    case "BadBody":
      return { status: error.status, message: error.message }
    case "BadPlace":
      return { status: 400, message: error.message, code: "bad_place" }
    case "BadRequest":
    case "InvalidInput":
      return { status: 400, message: error.message }
    case "RunInUse":
      return { status: 409, message: error.message, code: "run_in_use", headers: notAgain }
    case "ReplicationCacheMiss":
      return { status: 404, message: error.message, code: "replication_cache_miss", headers: notAgain }
    case "StoreError":
      return error.kind === "InvalidName"
        ? { status: 400, message: error.message, code: "invalid_name" }
        : { status: 500, message: error.message, code: "store_error", headers: notAgain }
    case "ProviderError": {
      const told = upstreamAnswerOf(error.reason)
      const status = told?.status ?? (error.reason._tag === "Timeout" ? 504 : 502)
      return { status, message: error.message, code: "upstream_error", told }
    }
  }
}

/** The response to a request that failed. */
export const failureResponse = (protocol: Pick<Protocol, "failure">, failure: ToldFailure) => {
  const { headers, status, told } = failure
  const { "content-type": type = "", ...kept } = told?.headers ?? {}
  const isJson = told === undefined || /\bjson\b/.test(type) || told.body.startsWith("{")
  return HttpServerResponse.text(told?.body ?? JSON.stringify(protocol.failure(failure)), {
    status,
    // A page of an upstream must not run here.
    contentType: isJson ? "application/json" : "text/plain; charset=utf-8",
    headers: { "x-content-type-options": "nosniff", ...kept, ...headers }
  })
}
