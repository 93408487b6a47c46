import type { Json } from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Crypto from "node:crypto"
import { parseJson } from "../import/json.ts"
import { makeModel } from "../import/resolve.ts"

/** A request of a batch for the sample at one position of a key. */
export interface BatchLine {
  /** The request, in the form of the provider. */
  readonly request: object
  /** Its `custom_id` and its key, for `batch import`. */
  readonly key: object
}

/** Why a key cannot be requested by a batch. */
export type Unfit = { readonly unfit: string }

/**
 * The requests for samples of a key, with the bodies that the models of `@llm-cache/providers` send. `model` is the provider's
 * name of the model, if it is not that of the cache.
 */
export const batchRequests = (
  protocol: "chat" | "messages",
  { identity, path, prompt }: Key,
  positions: ReadonlyArray<number>,
  model: string = identity.name
): Effect.Effect<ReadonlyArray<BatchLine> | Unfit> =>
  Effect.gen(function*() {
    const { name, temperature } = identity
    const all: { readonly [name: string]: Json } = JSON.parse(identity.parameters)
    const { system, ...parameters } = all
    if (all["llm-cache"] !== undefined || !(system === undefined || typeof system === "string")) {
      return { unfit: "it is no plain request: only a prompt with or without a system text fits into a batch" }
    }
    const body = yield* Effect.result(bodyOf(protocol, { model, temperature, system, parameters }, prompt))
    if (body._tag === "Failure") return { unfit: body.failure.description }
    const id = Crypto.hash("sha256", JSON.stringify([identity.id, prompt, path]), "hex").slice(0, 32)
    return positions.map((position) => {
      const custom_id = `${id}-${position}`
      return {
        request: protocol === "chat"
          ? { custom_id, method: "POST", url: "/v1/chat/completions", body: body.success }
          : { custom_id, params: body.success },
        key: { custom_id, model: name, temperature: temperature ?? null, parameters: all, fork: path }
      }
    })
  })

const bodyOf = (
  protocol: "chat" | "messages",
  plain: Parameters<typeof makeModel>[1],
  prompt: string
): Effect.Effect<unknown, InvalidInput> =>
  Effect.gen(function*() {
    let body: unknown
    const client = HttpClient.make((request) => {
      if (request.body._tag === "Uint8Array") body = parseJson(new TextDecoder().decode(request.body.body))
      return Effect.sync(() => HttpClientResponse.fromWeb(request, new Response("", { status: 400 })))
    })
    const model = yield* makeModel(protocol, plain, client)
    // The client refuses the request, and keeps its body.
    yield* Effect.exit(model.draw(new Key(model.identity, prompt, []), 0, 1))
    return body
  })
