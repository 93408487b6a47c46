import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { protocol } from "../ChatCompletions.ts"
import type { Alias } from "../Upstream.ts"
import { failureResponse, toFailure } from "./failure.ts"

/** The aliases and the models that the cache has samples of, or one of them. */
export const modelList = (
  store: Store,
  aliases: ReadonlyArray<Alias>,
  encodedName: string
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  store.identities.pipe(
    Stream.runCollect,
    Effect.map((identities) => {
      const names = identities.flatMap((listed) => Result.isSuccess(listed) ? [listed.success.identity.name] : [])
      const all = [...new Set([...aliases.map(({ alias }) => alias), ...names])]
        .map((id) => ({ id, object: "model", created: 0, owned_by: "llm-cache" }))
      if (encodedName === "") return HttpServerResponse.jsonUnsafe({ object: "list", data: all })
      const one = all.find(({ id }) => encodeURIComponent(id) === encodedName || id === encodedName)
      return one === undefined
        ? failureResponse(protocol, { status: 404, message: "the cache has no such model", code: "model_not_found" })
        : HttpServerResponse.jsonUnsafe(one)
    }),
    Effect.catch((error) => Effect.succeed(failureResponse(protocol, toFailure(error))))
  )
