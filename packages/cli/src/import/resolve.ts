import * as Identity from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { Model } from "@llm-cache/core/Model"
import type { Drawn, Metadata } from "@llm-cache/core/Sample"
import { ProviderError } from "@llm-cache/core/SampleError"
import * as Anthropic from "@llm-cache/providers/Anthropic"
import * as Ollama from "@llm-cache/providers/Ollama"
import * as OpenAiCompatible from "@llm-cache/providers/OpenAiCompatible"
import * as ChatCompletions from "@llm-cache/server/ChatCompletions"
import * as Completions from "@llm-cache/server/Completions"
import * as Messages from "@llm-cache/server/Messages"
import * as Protocol from "@llm-cache/server/Protocol"
import * as Responses from "@llm-cache/server/Responses"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { Buffer, isUtf8 } from "node:buffer"
import * as Crypto from "node:crypto"
import * as Zlib from "node:zlib"
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
import { asCount, asObject, compact, isObject, parseJson } from "./json.ts"
import { type PlainRequest, plainRequest } from "./plainRequest.ts"

/** Samples of one key, in the order of their draws, each with a name that no other sample has. */
export interface Draws {
  readonly kind: "draws"
  readonly key: Key
  readonly drawn: ReadonlyArray<Drawn>
}

/**
 * The samples of recorded requests. The protocols of `@llm-cache/server` read requests and answers, so that keys, texts and
 * metadata are those of a program that had sent the request through it.
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

  const readExchange = Effect.fnUntraced(function*(exchange: Exchange): Effect.fn.Return<Draws, Skipped | Damaged> {
    const { createdAt, elapsed, protocol, request, status, target, where } = exchange
    if (!(status >= 200 && status < 300)) {
      return yield* Effect.fail(skipped(where, `the provider answered with status ${status}`))
    }
    const text = textOf(exchange)
    if (text === undefined) return yield* Effect.fail(damaged(where, "its answer cannot be unpacked"))
    const read = protocol === "ollama" ? plainExchange(exchange, text) : protocolExchange(exchange, protocol, text)
    const { model, prompt } = yield* read
    const identity = target === undefined
      ? model.identity
      : yield* Effect.orElseSucceed(makeIdentity(target.identity), () => model.identity)
    const key = new Key(identity, prompt, target?.path ?? [])
    const samples = yield* Effect.mapError(
      model.draw(new Key(model.identity, prompt, []), 0, 1),
      (error) => damaged(where, error._tag === "ProviderError" ? error.reason.message : error.message)
    )
    const name = samples[0].metadata.responseId ?? exchange.name ?? unnamed(protocol, request, text, createdAt)
    const created = createdAt ?? secondsOf(text)
    return {
      kind: "draws",
      key,
      drawn: samples.map(({ metadata, text }, index) => ({
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
      ? readExchange(item).pipe(Effect.catch((problem) => Effect.succeed(problem)))
      : item.kind === "recorded"
      ? readRecorded(item)
      : Effect.succeed(item)
}

/** An identity with its system text, as the models of `@llm-cache/providers` make it. */
export const makeIdentity = (
  { system, ...options }: Identity.Options & { readonly system?: string | undefined }
): Effect.Effect<Identity.Identity, InvalidInput> =>
  Identity.make(system === undefined ? options : { ...options, parameters: { ...options.parameters, system } })

/** What a recorded request asks: its prompt, and a model that has its answer. */
interface Asked {
  readonly model: Model
  readonly prompt: string
}

const protocolExchange = (
  { betas = "", request, where }: Exchange,
  name: Exclude<ProtocolName, "ollama">,
  answer: string
): Effect.Effect<Asked, Skipped> =>
  Effect.gen(function*() {
    if (!isObject(request)) return yield* Effect.fail(skipped(where, "its request is not JSON"))
    const protocol = protocols[name]
    const call = yield* Effect.fromResult(protocol.read(request as never, { "anthropic-beta": betas }))
    if (call.parts !== undefined) {
      return yield* Effect.fail(skipped(where, "it has a list of prompts: record a request for each"))
    }
    const { parameters, prompt, temperature } = call.form
    const model = yield* LlmModel.make({
      model: call.model,
      temperature,
      parameters,
      generate: () =>
        Effect.mapError(
          Effect.fromResult(Protocol.readAnswer(protocol, call, answer)),
          (reason) => new ProviderError({ provider: name, reason })
        )
    })
    return { model, prompt }
  }).pipe(
    Effect.mapError((error) => "kind" in error ? error : skipped(where, error.message))
  )

const protocols: { readonly [name in Exclude<ProtocolName, "ollama">]: Protocol.Protocol } = {
  chat: ChatCompletions.protocol,
  completions: Completions.protocol,
  messages: Messages.protocol,
  responses: Responses.protocol
}

const plainExchange = ({ request, where }: Exchange, answer: string): Effect.Effect<Asked, Skipped> =>
  Effect.gen(function*() {
    const plain = plainRequest("ollama", request)
    if (typeof plain === "string") return yield* Effect.fail(skipped(where, plain))
    const client = HttpClient.make((request) =>
      Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(answer)))
    )
    const model = yield* Effect.mapError(
      makeModel("ollama", plain, client),
      ({ description }) => skipped(where, description)
    )
    return { model, prompt: plain.prompt }
  })

const unpackers: { readonly [encoding: string]: (bytes: Uint8Array, options: Zlib.ZlibOptions) => Buffer } = {
  br: Zlib.brotliDecompressSync,
  deflate: Zlib.inflateSync,
  gzip: Zlib.gunzipSync,
  zstd: Zlib.zstdDecompressSync as never
}

/** The longest answer, in bytes. */
const longest = 64 * 1024 * 1024

/** The text of an answer. Recorders that unpack an answer leave its header as it was. */
const textOf = ({ answer, encoding = "" }: Exchange): string | undefined => {
  if (typeof answer === "string") return answer
  if (isUtf8(answer)) return Buffer.from(answer).toString()
  try {
    return unpackers[encoding]?.(answer, { maxOutputLength: longest }).toString()
  } catch {
    return undefined
  }
}

/** The model that sends such a request. */
export const makeModel = (
  protocol: "chat" | "messages" | "ollama",
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

// OpenAI gives the time in seconds: https://platform.openai.com/docs/api-reference/chat/object and …/responses/object
const secondsOf = (body: string): number | undefined => {
  const { created, created_at } = asObject(parseJson(body))
  const seconds = asCount(created ?? created_at)
  return seconds === undefined ? undefined : seconds * 1000
}
