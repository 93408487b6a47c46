// Faults between client and server, the same for every protocol.
import { assert, describe, it } from "@effect/vitest"
import { LlmModel, type SampleError } from "@llm-cache/core"
import { Duration, Effect, Fiber, Latch, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { clients } from "./support/clients.ts"
import { reasonOf } from "./support/model.ts"
import { type Protocol, protocols } from "./support/protocols.ts"
import { cut, json, makeServer, type Reply, text } from "./support/server.ts"

type Tag = SampleError.ProviderErrorReason["_tag"]

interface Fault {
  readonly name: string
  readonly reply: (protocol: Protocol) => Reply
  readonly tag: Tag
  /** A part of the message. */
  readonly says: string
  readonly isRetried: boolean
}

const fault = (name: string, tag: Tag, isRetried: boolean, says: string, reply: Fault["reply"]): Fault => ({
  name,
  reply,
  tag,
  says,
  isRetried
})

const status = (code: number, tag: Tag, isRetried: boolean) =>
  fault(`a ${code}`, tag, isRetried, `(${code})`, ({ error }) => json(code, error("no such luck")))

const faults: ReadonlyArray<Fault> = [
  status(400, "BadRequest", false),
  status(401, "BadKey", false),
  status(402, "QuotaExhausted", false),
  status(403, "BadKey", false),
  status(404, "BadRequest", false),
  status(408, "Timeout", true),
  status(429, "RateLimited", true),
  status(500, "ServerFault", true),
  status(502, "ServerFault", true),
  status(529, "ServerFault", true),
  fault(
    "a 413 that speaks of the length",
    "ContextTooLong",
    false,
    "too long",
    ({ error }) => json(413, error("prompt is too long: 9 tokens > 8 maximum"))
  ),
  fault(
    "a 400 of a content filter",
    "ContentPolicy",
    false,
    "change the prompt",
    ({ error }) => json(400, error("blocked by the content filter"))
  ),
  fault("a cut before the headers", "Transport", true, "no answer from", () => cut),
  fault("a cut in the body", "Transport", true, "broke in the middle", ({ half }) => (response) => {
    response.writeHead(200, { "content-length": 1000 })
    response.write(half, () => response.destroy())
  }),
  fault("a cut in the chunks", "Transport", true, "broke in the middle", ({ half }) => (response) => {
    response.writeHead(200)
    response.write(half, () => response.destroy())
  }),
  fault(
    "HTML",
    "UnusableResponse",
    false,
    "<title>Log in</title>",
    () => text(200, "<title>Log in</title>", { "content-type": "text/html" })
  ),
  fault("JSON that is no object", "UnusableResponse", false, "[\"a\"]", () => json(200, ["a"])),
  fault("nothing", "UnusableResponse", false, "says nothing", () => text(200, "")),
  fault(
    "an object of another protocol",
    "UnusableResponse",
    false,
    "{\"object\":\"list\",\"done\":true}",
    () => json(200, { object: "list", done: true })
  ),
  fault("a redirect", "BadRequest", false, "/elsewhere", () => (response, received) =>
    received.path === "/elsewhere"
      ? json(200, {})(response, received)
      : text(307, "", { location: "/elsewhere" })(response, received)),
  fault("an answer without an end", "UnusableResponse", false, "longer than 32 MiB", ({ half }) => (response) => {
    response.writeHead(200)
    response.write(half)
    const filling = Buffer.alloc(1024 * 1024, "x")
    const more = () => {
      while (!response.destroyed && response.write(filling));
    }
    response.on("drain", more)
    more()
  })
]

describe.each(protocols)("%s", (_, protocol) => {
  describe.each(clients)("over %s", (_, client) => {
    const sampling = (url: string, options?: Parameters<Protocol["layer"]>[1]) =>
    <A, E>(
      effect: Effect.Effect<A, E, LlmModel.LlmModel>
    ) => effect.pipe(Effect.provide(protocol.layer(url, options)), Effect.provide(client))

    it.effect.each(faults)(
      "fails for $name, keeps no sample, and retries it only if another request can help",
      ({ isRetried, reply, says, tag }) =>
        Effect.gen(function*() {
          const server = yield* makeServer(reply(protocol))
          const error = yield* LlmModel.sampleOne("p").pipe(sampling(server.url), Effect.flip)
          assert.include(reasonOf(error, tag).description, says)
          // `fetch` follows redirects by itself.
          const asked = () => server.received.filter(({ path }) => path === protocol.path).length
          assert.strictEqual(asked(), 1)
          // A retry succeeds if another request can help.
          server.replies.unshift(reply(protocol))
          server.replies[1] = protocol.success()
          const fiber = yield* LlmModel.sampleOne("p").pipe(
            sampling(server.url, { retry: Schedule.recurs(1) }),
            Effect.result,
            Effect.forkChild
          )
          // A 429 pauses all requests for a second.
          while (fiber.pollUnsafe() === undefined) {
            yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            yield* TestClock.adjust("1 second")
          }
          const result = yield* Fiber.join(fiber)
          assert.strictEqual(result._tag, isRetried ? "Success" : "Failure")
          assert.strictEqual(asked(), isRetried ? 3 : 2)
        })
    )

    it.effect.each(
      [["in chunks", {}], ["of a known length", { "content-length": 1000 }]] as const
    )(
      "fails with Timeout for an answer %s that does not end in time, and closes its connection",
      ([, headers]) =>
        Effect.gen(function*() {
          const sent = yield* Latch.make()
          const server = yield* makeServer((response) => {
            response.writeHead(200, headers)
            response.write(protocol.half, () => sent.openUnsafe())
          })
          const fiber = yield* LlmModel.sampleOne("p").pipe(
            sampling(server.url, { timeout: "30 seconds" }),
            Effect.flip,
            Effect.forkChild
          )
          yield* sent.await
          yield* TestClock.adjust("29 seconds")
          assert.isUndefined(fiber.pollUnsafe())
          yield* TestClock.adjust("1 second")
          assert.include(reasonOf(yield* Fiber.join(fiber), "Timeout").description, "30s")
          yield* server.cutOff(1)
        })
    )

    it.effect("fails with the Retry-After of a 429, given in seconds or as a date", () =>
      Effect.gen(function*() {
        for (const [value, seconds] of [["400", 400], ["Thu, 01 Jan 1970 00:10:00 GMT", 600]] as const) {
          const server = yield* makeServer(json(429, protocol.error("slow down"), { "retry-after": value }))
          const error = yield* LlmModel.sampleOne("p").pipe(sampling(server.url), Effect.flip)
          assert.deepStrictEqual(reasonOf(error, "RateLimited").retryAfter, Duration.seconds(seconds))
        }
      }))

    it.effect("samples from a server that follows the documentation", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(protocol.success())
        const samples = yield* sampling(server.url)(LlmModel.sampleMany("Grüße 𝒳\u2028\n", 3))
        assert.deepStrictEqual(samples.toSorted(), ["sample 0", "sample 1", "sample 2"])
      }))
  })
})
