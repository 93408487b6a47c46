/** The scripted model that the fences run against, also behind the HTTP client of vendors. */
import { LlmModel } from "@llm-cache/core"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"

const script = ["92", "747", "131", "561", "16", "808", "345", "270", "621", "9"]

// The scripted server takes any key.
process.env["OPENAI_API_KEY"] = "none"

let position = 0

/** Lets the next sample be the first of the script. */
export const restart = () => {
  position = 0
}

const next = (n: number): ReadonlyArray<string> =>
  Array.from({ length: n }, () => {
    const text = script[position++]
    if (text === undefined) throw new Error(`the script has only ${script.length} samples`)
    return text
  })

const httpClient = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) =>
    Effect.sync(() => {
      const body = request.body
      if (body._tag !== "Uint8Array") throw new Error(`a request with a body of kind ${body._tag}`)
      const { model, n = 1 } = JSON.parse(new TextDecoder().decode(body.body)) as { model: string; n?: number }
      const choices = next(n).map((content, index) => ({
        index,
        message: { role: "assistant", content },
        finish_reason: "stop"
      }))
      return HttpClientResponse.fromWeb(request, Response.json({ object: "chat.completion", model, choices }))
    })
  )
)

/** The services that a fence may leave to its reader. */
export const layer = Layer.mergeAll(
  LlmModel.layer({
    model: "gpt-4o",
    temperature: 1,
    generate: ({ n }) => Effect.sync(() => ({ samples: next(n) }))
  }),
  httpClient
)

let main: Effect.Effect<unknown, Error> | undefined

/** The program that was given to `NodeRuntime.runMain` since the last call. */
export const takeMain = () => {
  const taken = main
  main = undefined
  return taken
}

// In place of `@effect/platform-node`:

export const NodeHttpClient = { layerUndici: httpClient }

export const NodeRuntime = {
  runMain: (program: Effect.Effect<unknown, Error>) => {
    main = program
  }
}
