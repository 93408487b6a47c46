import * as Identity from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import type { Model } from "@llm-cache/core/Model"
import type { Drawn, Metadata } from "@llm-cache/core/Sample"
import * as Anthropic from "@llm-cache/providers/Anthropic"
import * as Ollama from "@llm-cache/providers/Ollama"
import * as OpenAiCompatible from "@llm-cache/providers/OpenAiCompatible"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Crypto from "node:crypto"
import {
  type Damaged,
  damaged,
  type Exchange,
  type Item,
  type ProtocolName,
  type Recorded,
  type Skipped,
  skipped
} from "./item.ts"
import { asCount, asObject, compact, parseJson } from "./json.ts"
import { type PlainRequest, plainRequest } from "./plainRequest.ts"

/** Samples of one key, in the order of their draws, each with a name that no other sample has. */
export interface Draws {
  readonly kind: "draws"
  readonly key: Key
  readonly drawn: ReadonlyArray<Drawn>
}

/**
 * The samples of recorded requests. The models of `@llm-cache/providers` read the answers, so that keys, texts and metadata
 * are those of a program that had sent the request itself.
 */
export const makeResolver = () => {
  // Answers without a name that are equal to the byte are different draws.
  const occurrences = new Map<string, number>()
  const unnamed = (...content: ReadonlyArray<unknown>): string => {
    const hash = Crypto.hash("sha256", JSON.stringify(content), "hex").slice(0, 32)
    const count = occurrences.get(hash) ?? 0
    occurrences.set(hash, count + 1)
    return `${hash}-${count}`
  }

  const readExchange = Effect.fnUntraced(function*(exchange: Exchange): Effect.fn.Return<Draws | Skipped | Damaged> {
    const { answer, createdAt, elapsed, protocol, request, status, target, where } = exchange
    if (!(status >= 200 && status < 300)) return skipped(where, `the provider answered with status ${status}`)
    const plain = plainRequest(protocol, request)
    if (typeof plain === "string") return skipped(where, plain)
    const model = yield* Effect.result(makeModel(protocol, plain, recordedAnswer(exchange)))
    if (model._tag === "Failure") return skipped(where, model.failure.description)
    const identity = target === undefined
      ? model.success.identity
      : yield* Effect.orElseSucceed(makeIdentity(target.identity), () => model.success.identity)
    const key = new Key(identity, plain.prompt, target?.path ?? [])
    const samples = yield* Effect.result(model.success.draw(new Key(model.success.identity, plain.prompt, []), 0, 1))
    if (samples._tag === "Failure") {
      const error = samples.failure
      return damaged(where, error._tag === "ProviderError" ? error.reason.message : error.message)
    }
    const body = typeof answer === "string" ? answer : Buffer.from(answer).toString("utf8")
    const name = samples.success[0].metadata.responseId ?? exchange.name ??
      unnamed(protocol, request, body, createdAt)
    const created = createdAt ?? secondsOf(body)
    return {
      kind: "draws",
      key,
      drawn: samples.success.map(({ metadata, text }, index) => ({
        text,
        origins: [],
        metadata: compact<Metadata>({ ...metadata, request: name, index, createdAt: created, elapsed })
      }))
    }
  })

  const readRecorded = ({ identity, name, path = [], prompt, samples, where }: Recorded) =>
    Effect.match(makeIdentity(identity), {
      onFailure: ({ description }): Draws | Damaged => damaged(where, description),
      onSuccess: (made): Draws | Damaged => {
        const request = samples[0]?.metadata.responseId ?? name ?? unnamed(made.id, prompt, path, samples)
        return {
          kind: "draws",
          key: new Key(made, prompt, path),
          drawn: samples.map(({ metadata, text }, index) => ({
            text,
            origins: [],
            metadata: compact<Metadata>({ ...metadata, request, index, requestSamples: samples.length })
          }))
        }
      }
    })

  return (item: Item): Effect.Effect<Draws | Skipped | Damaged> =>
    item.kind === "exchange"
      ? readExchange(item)
      : item.kind === "recorded"
      ? readRecorded(item)
      : Effect.succeed(item)
}

/** An identity with its system text, as the models of `@llm-cache/providers` make it. */
export const makeIdentity = (
  { system, ...options }: Identity.Options & { readonly system?: string | undefined }
): Effect.Effect<Identity.Identity, InvalidInput> =>
  Identity.make(system === undefined ? options : { ...options, parameters: { ...options.parameters, system } })

/** The model that sends such a request. */
export const makeModel = (
  protocol: ProtocolName,
  { model: name, parameters, system, temperature }: Omit<PlainRequest, "prompt">,
  client: HttpClient.HttpClient
): Effect.Effect<Model, InvalidInput> => {
  const options = {
    model: name,
    parameters,
    system,
    temperature,
    apiKey: Redacted.make("no-key-is-needed-for-recorded-answers"),
    retry: Schedule.recurs(0)
  }
  const model = protocol === "chat"
    ? OpenAiCompatible.make({ ...options, baseUrl: "http://recorded.invalid/v1" })
    : protocol === "ollama"
    ? Ollama.make({ ...options, baseUrl: "http://recorded.invalid" })
    : Anthropic.make({
      ...options,
      baseUrl: "http://recorded.invalid",
      parameters: parameters as Anthropic.Options["parameters"]
    })
  return Effect.provideService(model, HttpClient.HttpClient, client)
}

const recordedAnswer = ({ answer, encoding }: Exchange): HttpClient.HttpClient =>
  HttpClient.make((request) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        new Response(answer, { headers: encoding === undefined ? {} : { "content-encoding": encoding } })
      )
    )
  )

// OpenAI gives the time in seconds: https://platform.openai.com/docs/api-reference/chat/object
const secondsOf = (body: string): number | undefined => {
  const seconds = asCount(asObject(parseJson(body))["created"])
  return seconds === undefined ? undefined : seconds * 1000
}
