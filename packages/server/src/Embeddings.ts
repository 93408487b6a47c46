/**
 * OpenAI's embeddings: `POST /v1/embeddings`.
 *
 * **Details**
 *
 * A vector is a function of its input and no draw. So each input, a text or a list of tokens, has one sample, outside of runs,
 * attempts and forks. Missing inputs are one request, each input once. All fields are in the key but `encoding_format` and `user`:
 * both encodings are made of one sample: the JSON of the vector.
 *
 * It is no `Protocol`, because an answer has the samples of many prompts, and is never a stream.
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject, Sample } from "@llm-cache/core/Sample"
import { UnusableResponse } from "@llm-cache/core/SampleError"
import * as Result from "effect/Result"
import { bad, parametersOf, readCall, uncacheable, wholeForm } from "./internal/call.ts"
import { asCount, asObject, asObjects, asString } from "./internal/json.ts"
import { failure, promptsOf } from "./internal/openAi.ts"
import type { BadRequest, Call, Endpoint, Uncacheable } from "./Protocol.ts"

/**
 * How an upstream is asked.
 *
 * @category protocols
 * @since 0.1.0
 */
export const endpoint: Endpoint = {
  name: "embeddings",
  api: "openai",
  path: "/embeddings",
  hasCount: false,
  requestBody: ({ body }, { model }) => ({ ...body, model }),
  generation: (answer, n) => {
    const data = asObjects(answer["data"])?.map((one, i) =>
      [asCount(one["index"]) ?? i, vectorOf(one["embedding"])] as const
    )
    const vectors = new Map(data)
    const samples = Array.from({ length: n }, (_, i) => vectors.get(i))
    return data?.length === n && samples.every((vector) => vector !== undefined)
      ? Result.succeed({
        samples: samples.map((vector) => JSON.stringify(vector.map(exact))),
        model: asString(answer["model"]),
        inputTokens: asCount(asObject(answer["usage"])?.["prompt_tokens"])
      })
      : Result.fail(new UnusableResponse({ description: `the answer has no vector for each of ${n} inputs` }))
  },
  failure
}

/**
 * A request for vectors: a call for each input, in their order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly calls: ReadonlyArray<Call>
  readonly isBase64: boolean
}

/**
 * Reads a request.
 *
 * @category parsing
 * @since 0.1.0
 */
export const read = (body: JsonObject): Result.Result<Request, BadRequest | Uncacheable> => {
  const inputs = promptsOf(body["input"])
  const encoding = body["encoding_format"] ?? "float"
  if (asObjects(body["input"])?.length) {
    return uncacheable("`input` has objects, and vectors are kept of texts and tokens")
  }
  if (inputs === undefined) {
    return bad("`input` is no input: give a text, a list of tokens, or a list that is not empty of one of them")
  }
  if (encoding !== "float" && encoding !== "base64") {
    return uncacheable("`encoding_format` is neither `float` nor `base64`, of which vectors are kept")
  }
  const parameters = parametersOf(body, "input", "encoding_format", "user")
  const calls = inputs.map((input) =>
    readCall({ ...body, input }, endpoint, wholeForm(endpoint.name, "input", input, parameters))
  )
  return Result.map(Result.all(calls), (calls) => ({ calls, isBase64: encoding === "base64" }))
}

const vectorOf = (given: Json | undefined): ReadonlyArray<number> | undefined => {
  if (typeof given === "string") {
    const bytes = Buffer.from(given, "base64")
    const vector = Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readFloatLE(4 * i))
    return bytes.length % 4 === 0 && vector.length > 0 && vector.every(Number.isFinite) ? vector : undefined
  }
  return Array.isArray(given) && given.length > 0 && given.every(Number.isFinite) ? given : undefined
}

/** JSON of JavaScript has no negative zero. */
const exact = (value: number): Json => Object.is(value, -0) ? JSON.rawJSON("-0.0") : value

/**
 * The answer of samples, one for each call of the request.
 *
 * @category parsing
 * @since 0.1.0
 */
export const answer = ({ calls, isBase64 }: Request, samples: ReadonlyArray<Sample>): JsonObject => {
  const tokens = new Map(calls.map(({ form }, i) => [form.prompt, samples[i]?.metadata.inputTokens ?? 0]))
  const total = [...tokens.values()].reduce((sum, count) => sum + count, 0)
  return {
    object: "list",
    data: samples.map(({ text }, index) => {
      const vector: ReadonlyArray<number> = JSON.parse(text)
      return { object: "embedding", index, embedding: isBase64 ? base64Of(vector) : vector.map(exact) }
    }),
    model: samples[0]?.metadata.model ?? calls[0]!.model,
    usage: { prompt_tokens: total, total_tokens: total }
  }
}

const base64Of = (vector: ReadonlyArray<number>): string => {
  const bytes = Buffer.alloc(4 * vector.length)
  for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, 4 * i)
  return bytes.toString("base64")
}
