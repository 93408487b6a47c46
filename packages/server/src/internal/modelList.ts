import type { JsonObject } from "@llm-cache/core/Sample"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Protocol } from "../Protocol.ts"
import type { Alias, Api } from "../Upstream.ts"
import { failureResponse, toFailure } from "./failure.ts"
import { asObjects } from "./json.ts"

interface Listed {
  readonly store: Store
  readonly aliases: ReadonlyArray<Alias>
  readonly encodedName: string
  readonly protocol: Protocol
  /** The answer of the upstream, if it may be asked and gives one. */
  readonly upstream: Effect.Effect<JsonObject | undefined>
}

/** The aliases, the models of the upstream and those that the cache has samples of, or one of them. */
export const modelList = (
  { aliases, encodedName, protocol, store, upstream }: Listed
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.all([Stream.runCollect(store.identities), upstream], { concurrency: 2 }).pipe(
    Effect.map(([identities, told]) => {
      const names = identities.flatMap((listed) => Result.isSuccess(listed) ? [listed.success.identity.name] : [])
      const ids = [...new Set([...aliases.map(({ alias }) => alias), ...names])]
      const { listOf, modelOf } = forms[protocol.api]
      // A list of several pages is the upstream's own.
      const merged = (models: ReadonlyArray<JsonObject>) => {
        const own = told?.["has_more"] === true ? [] : ids.filter((id) => models.every((model) => model["id"] !== id))
        const isAlias = (id: string) => aliases.some(({ alias }) => alias === id)
        const data = [
          ...own.filter(isAlias).map(modelOf),
          ...models,
          ...own.filter((id) => !isAlias(id)).map(modelOf)
        ]
        return { ...told, data }
      }
      if (encodedName === "") {
        const models = asObjects(told?.["data"])
        return HttpServerResponse.jsonUnsafe(models === undefined ? listOf(ids) : merged(models))
      }
      const id = ids.find((id) => encodeURIComponent(id) === encodedName || id === encodedName)
      if (told?.["id"] !== undefined) return HttpServerResponse.jsonUnsafe(told)
      return id === undefined
        ? failureResponse(protocol, { status: 404, message: "the cache has no such model", code: "model_not_found" })
        : HttpServerResponse.jsonUnsafe(modelOf(id))
    }),
    Effect.catch((error) => Effect.succeed(failureResponse(protocol, toFailure(error))))
  )

interface Form {
  readonly modelOf: (id: string) => JsonObject
  readonly listOf: (ids: ReadonlyArray<string>) => JsonObject
}

/** The cache does not know when a model came out: as in Anthropic's own answers, the epoch stands for that. */
const forms: { readonly [api in Api]: Form } = {
  // https://platform.openai.com/docs/api-reference/models
  openai: {
    modelOf: (id) => ({ id, object: "model", created: 0, owned_by: "llm-cache" }),
    listOf: (ids) => ({ object: "list", data: ids.map(forms.openai.modelOf) })
  },
  // https://platform.claude.com/docs/en/api/models/list
  anthropic: {
    modelOf: (id) => ({ type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }),
    listOf: (ids) => ({
      data: ids.map(forms.anthropic.modelOf),
      has_more: false,
      first_id: ids[0] ?? null,
      last_id: ids.at(-1) ?? null
    })
  }
}
