/**
 * No request to a provider leaves a test.
 *
 * **When to use**
 *
 * Provide it to tests that must not cost anything, such as those of CI. A request to a provider then fails the test, and the
 * message names the prompt, and the test where Vitest runs it. Test models, caches and cassettes that have the sample are free to answer.
 *
 * **Example** (A test that never pays)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import { LlmModel } from "@llm-cache/core"
 * import { OpenAi } from "@llm-cache/providers"
 * import { Cassette, NoRequests } from "@llm-cache/testing"
 * import { Effect } from "effect"
 *
 * it.effect("answers from the cassette", () =>
 *   LlmModel.sampleOne("6 * 7?").pipe(
 *     Effect.provide(LlmModel.stack(Cassette.layer("answers"), OpenAi.layer({ model: "gpt-4o-mini" }))),
 *     Effect.provide(NoRequests.layer)
 *   ))
 * ```
 *
 * @since 0.1.0
 */
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import { excerpt } from "./internal/cassette/file.ts"

/**
 * A request that `layer` stopped.
 *
 * @category errors
 * @since 0.1.0
 */
export class ForbiddenRequest extends Error {
  override readonly name = "ForbiddenRequest"
}

/**
 * Stops every request of a model that names its provider, as all models of `@llm-cache/providers` do, and every request of the
 * `HttpClient` that it provides. They die with a `ForbiddenRequest`, which no retry mends.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.effectContext(
  Effect.map(Effect.promise(currentTest), (test) => {
    const forbid = (request: string) =>
      Effect.die(
        new ForbiddenRequest(
          `${test === undefined ? "A test" : `The test ${JSON.stringify(test)}`} sent ${request}. ` +
            "Provide a TestModel, or a Cassette that has the answer. To record one, leave NoRequests out"
        )
      )
    const client = HttpClient.make((request) => forbid(`a request to ${request.url}: ${excerpt(bodyOf(request), 400)}`))
    return Context.make(HttpClient.HttpClient, client).pipe(
      Context.add(
        LlmModel.RequestCheck,
        ({ key, provider }) => forbid(`a request to ${provider} (${key.identity.toString()}): ${excerpt(key.prompt)}`)
      )
    )
  })
)

/** The name of the test that Vitest runs. */
async function currentTest(): Promise<string | undefined> {
  const { VITEST } = process.env
  if (VITEST === undefined) return undefined
  const { expect } = await import("vitest")
  return expect.getState().currentTestName
}

const bodyOf = ({ body }: HttpClientRequest): string =>
  body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : body._tag
