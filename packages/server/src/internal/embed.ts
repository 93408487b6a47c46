import type { Generation } from "@llm-cache/core/LlmModel"
import type { SampleError } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Embeddings from "../Embeddings.ts"
import type { Call } from "../Protocol.ts"
import { cacheStatusOf, type Preparation, prepare, readRequest } from "./complete.ts"
import type { Join } from "./source.ts"

/** Answers a request for embeddings. */
export const embed = (
  completion: Omit<Preparation, "protocol" | "join">
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const request = { ...completion, protocol: Embeddings.endpoint }
  return readRequest(request, Embeddings.read, (read) =>
    Effect.gen(function*() {
      const calls = new Map(read.calls.map((call) => [call.form.prompt, call]))
      const resolver = makeResolver(calls)
      const join: Join = (prompt, ask) => Effect.request(new Missing({ prompt, ask }), resolver)
      const place = { ...request.place, independent: false, attempt: [], forks: [] }
      const drawn = yield* Effect.forEach(calls, ([prompt, call]) =>
        Effect.gen(function*() {
          const prepared = yield* prepare({ ...request, place, join }, call)
          const { samples } = yield* prepared.draw()
          return [prompt, { sample: samples[0]!, status: prepared.cacheStatus() }] as const
        }), { concurrency: "unbounded" })
      const byPrompt = new Map(drawn)
      const samples = read.calls.map(({ form }) => byPrompt.get(form.prompt)!.sample)
      return HttpServerResponse.text(JSON.stringify(Embeddings.answer(read, samples)), {
        contentType: "application/json",
        headers: { "cache-status": cacheStatusOf(drawn.map(([, { status }]) => status)) }
      })
    }))
}

class Missing extends Request.TaggedClass("Missing")<
  { readonly prompt: string; readonly ask: Parameters<Join>[1] },
  Generation,
  SampleError
> {}

/** How long a request waits for further missing inputs: stores need not answer all look-ups at once. */
const gathering = "2 millis"

/** Asks for the missing inputs of a client at once. Each gets its part of the tokens, by its length. */
const makeResolver = (calls: ReadonlyMap<string, Call>) =>
  RequestResolver.make<Missing>((entries) => {
    const inputs = entries.map(({ request: { prompt } }) => calls.get(prompt)!.body["input"]!)
    const { ask, prompt } = entries[0].request
    const body = { ...calls.get(prompt)!.body, input: inputs.length === 1 ? inputs[0]! : inputs }
    return Effect.map(ask(body, inputs.length), ({ inputTokens, samples, ...generation }) => {
      const lengths = entries.map(({ request }) => request.prompt.length)
      const whole = lengths.reduce((sum, length) => sum + length, 0)
      let before = 0
      const tokensUpTo = (length: number) => Math.round(length / whole * (inputTokens ?? 0))
      for (const [i, entry] of entries.entries()) {
        const tokens = tokensUpTo(before + lengths[i]!) - tokensUpTo(before)
        before += lengths[i]!
        entry.completeUnsafe(
          Exit.succeed({
            ...generation,
            samples: [samples[i]!],
            inputTokens: inputTokens === undefined ? undefined : tokens
          })
        )
      }
    })
  }).pipe(RequestResolver.setDelay(gathering))
