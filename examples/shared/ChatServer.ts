/**
 * A small server that speaks the protocol of OpenAI's chat completions, on loopback: really random answers, and it
 * honours `n`.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Random, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"

export class ChatServer extends Context.Service<ChatServer, {
  /** Where the server is, as a provider's `baseUrl`. */
  readonly baseUrl: string
  /** The `n` of every request that it answered. */
  readonly requests: ReadonlyArray<number>
}>()("@llm-cache/examples/ChatServer") {}

const CompletionRequest = Schema.Struct({
  model: Schema.String,
  messages: Schema.NonEmptyArray(Schema.Struct({ role: Schema.String, content: Schema.String })),
  n: Schema.optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 128 })))
})

/** The default answer of the server: a number from 1 to 1000. */
const aNumber = Effect.map(Random.nextIntBetween(1, 1001), String)

/** Starts a server on a free port. It stops with the layer. */
export const layer = (
  answer: (prompt: string) => Effect.Effect<string> = () => aNumber
): Layer.Layer<ChatServer> =>
  Layer.effect(
    ChatServer,
    Effect.gen(function*() {
      const requests: Array<number> = []
      const complete = Effect.gen(function*() {
        const { messages, model, n = 1 } = yield* HttpServerRequest.schemaBodyJson(CompletionRequest)
        const prompt = messages.at(-1)!.content
        const texts = yield* Effect.replicateEffect(answer(prompt), n)
        requests.push(n)
        return HttpServerResponse.jsonUnsafe({
          object: "chat.completion",
          model,
          choices: texts.map((content, index) => ({
            index,
            message: { role: "assistant", content },
            finish_reason: "stop"
          })),
          usage: {
            prompt_tokens: countWords(prompt),
            completion_tokens: texts.reduce((total, text) => total + countWords(text), 0)
          }
        })
      }).pipe(
        Effect.catchTag(["HttpServerError", "SchemaError"], (error) =>
          Effect.succeed(HttpServerResponse.jsonUnsafe({ error: { message: error.message } }, { status: 400 })))
      )
      const server = yield* HttpServer.HttpServer
      const app = yield* HttpRouter.toHttpEffect(HttpRouter.add("POST", "/v1/chat/completions", complete))
      yield* server.serve(app)
      return { baseUrl: `${HttpServer.formatAddress(server.address)}/v1`, requests }
    })
  ).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
    Layer.orDie
  )

const countWords = (text: string): number => text.split(/\s+/).length
