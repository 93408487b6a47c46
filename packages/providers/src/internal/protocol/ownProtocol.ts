import type { Generation } from "@llm-cache/core/LlmModel"
import { ProviderError, type ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Predicate from "effect/Predicate"
import type { Decoded, Options } from "../../HttpProvider.ts"
import type { Excerpt } from "../request/excerpt.ts"
import { asName, parseJson } from "./json.ts"
import type { Answer, Protocol } from "./protocol.ts"
import { failNotJson } from "./readObject.ts"
import { failWithoutAnswer } from "./unusableAnswer.ts"

/** A protocol of the user's functions: one makes the body of a request, the other reads an answer. */
export const ownProtocol = ({ decode, format, request }: Pick<Options, "decode" | "format" | "request">): Protocol => ({
  module: "HttpProvider",
  urlOption: "url",
  path: "",
  exampleUrl: "https://llm.example.com/generate",
  reservedParameters: {
    n: "ask for a `batch` when you sample, and give the option `maxBatch` for the most samples of one request",
    temperature: "give the option `temperature`",
    system: "give the option `system`"
  },
  outputTokenLimits: ["max_completion_tokens", "max_tokens", "max_new_tokens", "num_predict"],
  setHeaders: (key) => key === undefined ? identity : HttpClientRequest.bearerToken(key),
  requestBody: (options, prompt, n) => checkBody(request({ ...options, prompt, n })),
  readAnswer: (answer) => {
    const read = format === "text" ? answer.body : parseJson(answer.body)
    return read === undefined ? failNotJson(answer) : Effect.flatMap(
      runDecode(decode, read, answer),
      (decoded) => toGeneration(decoded, answer)
    )
  }
})

// Programs in JavaScript have no type check, and the server would be paid for an answer to another body.
const checkBody = (body: object): object => {
  if (typeof body === "object" && body !== null && !("then" in body) && !Effect.isEffect(body)) return body
  throw new TypeError("`request` of HttpProvider returned no object: return the body of the request itself")
}

// A server that sends another form than `decode` expects makes it throw, so an exception is a failure and no bug.
const runDecode = (
  decode: Options["decode"],
  read: unknown,
  answer: Answer
): Effect.Effect<Decoded, ProviderErrorReason> => {
  const failed = (error: unknown) => {
    if (error instanceof ProviderError) return Effect.fail(error.reason)
    if (isReason(error)) return Effect.fail(error)
    const words = answer.request.excerpt(error instanceof Error ? error.message : String(error))
    return failWithoutAnswer(`\`decode\` cannot read the answer (${words})`, answer)
  }
  try {
    const decoded = decode(read)
    if (Predicate.isPromiseLike(decoded)) {
      return failWithoutAnswer(
        "`decode` returned a promise: return an effect, as by `Effect.tryPromise`, or samples",
        answer
      )
    }
    return Effect.isEffect(decoded) ? Effect.catch(failed)(decoded) : Effect.succeed(decoded)
  } catch (error) {
    return failed(error)
  }
}

const isReason = (error: unknown): error is ProviderErrorReason =>
  error instanceof Error && "_tag" in error && "isRetryable" in error && "description" in error

const toGeneration = (decoded: Decoded, answer: Answer): Effect.Effect<Generation, ProviderErrorReason> => {
  const generation: Generation | undefined = isSamples(decoded) ? { samples: decoded } : decoded
  const { excerpt, n } = answer.request
  const samples = Array.isArray(generation?.samples) ? generation.samples.map(withSafeName(excerpt)) : []
  if (!samples.some((sample) => typeof (typeof sample === "string" ? sample : sample?.text) === "string")) {
    const failure = Array.isArray(generation?.failures) ? generation.failures[0] : undefined
    return isReason(failure) ? failure : failWithoutAnswer("`decode` found no sample in the answer", answer)
  }
  return Effect.succeed({
    ...generation,
    samples,
    responseId: asName(generation?.responseId, excerpt),
    model: asName(generation?.model, excerpt),
    ignoresN: generation?.ignoresN ?? (samples.length === 1 && n > 1)
  })
}

type Sample = Generation["samples"][number]

const isSamples = (decoded: Decoded): decoded is ReadonlyArray<Sample> => Array.isArray(decoded)

/** A finish reason is printed, and must not hold the key. */
const withSafeName = (excerpt: Excerpt) => (sample: Sample): Sample =>
  typeof sample === "object" && sample?.finishReason !== undefined
    ? { ...sample, finishReason: asName(sample.finishReason, excerpt) }
    : sample
