import { assert, describe, it } from "@effect/vitest"
import { Independent, Key, LlmModel, MemoryStore, Persistent, Repeatable } from "@llm-cache/core"
import { Clock, type Duration, Effect, Fiber, Latch, Layer, Schedule, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as Zlib from "node:zlib"
import { clients } from "./support/clients.ts"
import { reasonOf, sampling } from "./support/model.ts"
import {
  choice,
  choices,
  completion,
  cut,
  cutInBody,
  hang,
  hangInBody,
  json,
  makeServer,
  type Reply,
  text
} from "./support/server.ts"
import { makeUntrustedServer } from "./support/tls.ts"

const packers: ReadonlyArray<[encoding: string, pack: (bytes: Buffer) => Buffer]> = [
  ["gzip", Zlib.gzipSync],
  ["x-gzip", Zlib.gzipSync],
  ["br", (bytes) => Zlib.brotliCompressSync(bytes, { params: { [Zlib.constants.BROTLI_PARAM_QUALITY]: 4 } })],
  ["zstd", Zlib.zstdCompressSync],
  ["deflate", Zlib.deflateSync],
  ["Deflate", Zlib.deflateRawSync],
  ["deflate, gzip", (bytes) => Zlib.gzipSync(Zlib.deflateSync(bytes))]
]

let packedTooLong: ReadonlyArray<[encoding: string, packed: Buffer]> | undefined

/** 33 MiB, packed in every way. */
const tooLong = () => {
  const bytes = Buffer.alloc(33 * 1024 * 1024, " ")
  return packedTooLong ??= packers.map(([encoding, pack]) => [encoding, pack(bytes)])
}

/** The samples of one request, with their metadata. */
const requestSamples = (n: number) =>
  Effect.flatMap(LlmModel.LlmModel, (model) => model.draw(new Key.Key(model.identity, "p", []), 0, n))

describe.each(clients)("OpenAiCompatible over %s", (name, client) => {
  describe("samples", () => {
    it.effect("come with the model, the finish reason and the tokens", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(json(200, {
          model: "gpt-mock-1",
          choices: [choice("a"), choice("b", "length")],
          usage: { prompt_tokens: 7, completion_tokens: 6 }
        }))
        const samples = yield* sampling(client, server.url)(requestSamples(2))
        assert.deepStrictEqual(samples.map(({ text }) => text), ["a", "b"])
        assert.deepInclude(samples[0].metadata, {
          model: "gpt-mock-1",
          finishReason: "stop",
          inputTokens: 7,
          outputTokens: 6,
          requestSamples: 2
        })
        assert.strictEqual(samples[1]!.metadata.finishReason, "length")
      }))

    it.effect("have no metadata for absent or odd `usage`, `model` and finish reason", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(
          json(200, { choices: [{ message: { content: "a" } }] }),
          json(200, {
            model: 7,
            choices: [{ message: { content: "a" }, finish_reason: 3 }],
            usage: { prompt_tokens: "many", completion_tokens: null }
          }),
          json(200, {
            choices: [{ message: { content: "a" } }],
            usage: { prompt_tokens: 1e300, completion_tokens: -1 }
          })
        )
        for (let i = 0; i < 3; i++) {
          const [sample] = yield* sampling(client, server.url)(requestSamples(1))
          assert.strictEqual(sample.text, "a")
          assert.doesNotHaveAnyKeys(sample.metadata, ["model", "finishReason", "inputTokens", "outputTokens"])
        }
      }))

    it.effect("are all used if they are fewer than `n`, and the next request asks for the rest", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(completion((n) => Math.min(n, 2)))
        const texts = yield* sampling(client, server.url)(LlmModel.sampleMany("p", 5))
        assert.deepStrictEqual(texts, ["sample 0", "sample 1", "sample 2", "sample 3", "sample 4"])
        assert.deepStrictEqual(server.received.map(({ body }) => body.n ?? 1), [5, 3, 1])
      }))

    it.effect("are all kept if they are more than `n`", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(completion((n) => n + 2))
        const texts = yield* LlmModel.sampleMany("p", 3, { batch: 1 }).pipe(
          Effect.provide(Repeatable.layer),
          sampling(client, server.url)
        )
        assert.deepStrictEqual(texts, ["sample 0", "sample 1", "sample 2"])
        assert.deepStrictEqual(server.received.map(({ body }) => body.n ?? 1), [1])
        assert.lengthOf(yield* sampling(client, server.url)(requestSamples(1)), 3)
      }))

    it.effect("come from choices with a text, a refusal or a finish reason only", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(choices(
          choice("a"),
          choice(null),
          choice(undefined),
          { finish_reason: "stop" },
          { message: null },
          { message: "a" },
          null,
          "a",
          { message: { content: 7 } },
          { message: { tool_calls: [] }, finish_reason: "tool_calls" },
          { message: { content: "half" }, finish_reason: "error", error: { message: "broke off" } },
          { message: { content: null, refusal: "No." } },
          choice("b")
        ))
        const samples = yield* sampling(client, server.url)(requestSamples(13))
        assert.deepStrictEqual(samples.map(({ metadata, text }) => [text, metadata.finishReason ?? metadata.refusal]), [
          ["a", "stop"],
          ["", "stop"],
          ["", "stop"],
          ["", "stop"],
          ["", "tool_calls"],
          ["", "No."],
          ["b", "stop"]
        ])
      }))

    it.effect("may be empty", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(choices(choice(""), choice("", "length")))
        const samples = yield* sampling(client, server.url)(requestSamples(2))
        assert.deepStrictEqual(samples.map(({ text }) => text), ["", ""])
      }))

    it.effect("join the texts of their parts", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(choices(
          choice([{ type: "text", text: "a" }, { type: "text", text: "b" }]),
          choice([{ type: "thinking", thinking: [], text: "hmm" }, { type: "text", text: "c" }]),
          choice([{ type: "text", text: "" }]),
          choice([]),
          choice([{ type: "image_url" }, null]),
          choice([null, { type: "text", text: "d" }])
        ))
        const samples = yield* sampling(client, server.url)(requestSamples(6))
        assert.deepStrictEqual(samples.map(({ text }) => text), ["ab", "c", "", "", "", "d"])
      }))

    it.effect("are well-formed Unicode, and otherwise exactly as the server sends them", () =>
      Effect.gen(function*() {
        const whole = "\r\n ﻿\u0000𝒳 é \n"
        const server = yield* makeServer((response) => {
          response.writeHead(200).end(Buffer.concat([
            Buffer.from(`{"choices":[{"message":{"content":${JSON.stringify(whole)}}},`),
            Buffer.from("{\"message\":{\"content\":\"\\ud83d|\\udc00\"}},{\"message\":{\"content\":\""),
            Buffer.from([0xff]),
            Buffer.from("\"}}]}")
          ]))
        })
        const samples = yield* sampling(client, server.url)(requestSamples(3))
        assert.deepStrictEqual(samples.map(({ text }) => text), [whole, "\ufffd|\ufffd", "\ufffd"])
      }))
  })

  describe("packed answers", () => {
    const long = Array.from({ length: 20_000 }, (_, i) => (i * i * 7919 % 1_000_003).toString(36)).join(" ü𝒳")
    const body = Buffer.from(JSON.stringify({ choices: [choice(long)] }))
    const short = Buffer.from("{\"choices\":[{\"message\":{\"content\":\"a\"}}]}")
    // Its first bytes are also those of a packed text.
    const pretty = Buffer.from(JSON.stringify({ id: "1999", choices: [choice("a")] }, null, 2))
    const replyWith = (status: number, encoding: string, bytes: Buffer): Reply => (response) => {
      response.writeHead(status, { "content-encoding": encoding, "content-length": bytes.length }).end(bytes)
    }

    it.effect.each(packers)("are unpacked: %s", ([encoding, pack]) =>
      Effect.gen(function*() {
        for (const [whole, text] of [[body, long], [short, "a"], [pretty, "a"]] as const) {
          const server = yield* makeServer(replyWith(200, encoding, pack(whole)))
          assert.strictEqual(yield* sampling(client, server.url)(LlmModel.sampleOne("p")), text)
        }
        const refused = Buffer.from(JSON.stringify({ error: { message: "the context length is 8" } }))
        const server = yield* makeServer(replyWith(400, encoding, pack(refused)))
        const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
        assert.include(reasonOf(error, "ContextTooLong").description, "the context length is 8")
      }))

    it.effect.each(packers)("fail with Transport if they are cut: %s", ([encoding, pack]) =>
      Effect.gen(function*() {
        const server = yield* makeServer(replyWith(200, encoding, pack(body).subarray(0, pack(body).length >> 1)))
        const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
        reasonOf(error, "Transport")
      }))

    it.effect("are read as they are if they are not packed after all, or in an unknown way", () =>
      Effect.gen(function*() {
        if (name === "fetch") return // It fails by itself.
        for (const encoding of [...packers.map(([encoding]) => encoding), "identity", "unknown"]) {
          for (const plain of [short, pretty, Buffer.concat([Buffer.from("\n\n "), short])]) {
            const server = yield* makeServer(replyWith(200, encoding, plain))
            assert.strictEqual(yield* sampling(client, server.url)(LlmModel.sampleOne("p")), "a")
          }
        }
      }))

    it.effect("keep bytes outside of UTF-8 as U+FFFD", () =>
      Effect.gen(function*() {
        const odd = Buffer.concat([short.subarray(0, -5), Buffer.from([0xff]), short.subarray(-5)])
        for (const [encoding, pack] of packers.filter(([encoding]) => encoding === "gzip")) {
          const server = yield* makeServer(replyWith(200, encoding, pack(odd)))
          assert.strictEqual(yield* sampling(client, server.url)(LlmModel.sampleOne("p")), "a\ufffd")
        }
      }))
  })

  describe("answers without a sample", () => {
    const unusable: ReadonlyArray<[name: string, body: string, quoted: string]> = [
      ["no choices", "{\"choices\":[]}", "no choices"],
      ["`choices` that are null", "{\"choices\":null}", "no choices"],
      ["no `choices`", "{\"object\":\"list\"}", "{\"object\":\"list\"}"],
      [
        "no text and no finish reason in any choice",
        "{\"choices\":[{\"message\":{\"content\":null},\"native\":\"odd\"}]}",
        "odd"
      ],
      ["a text that is none", "{\"choices\":[{\"message\":{\"content\":7},\"finish_reason\":\"stop\"}]}", "malformed"],
      ["an error", "{\"error\":{\"message\":\"quota is used up\",\"code\":\"q1\"}}", "quota is used up (q1)"],
      ["an error that is a text", "{\"error\":\"upstream is gone\"}", "upstream is gone"],
      [
        "an error beside choices",
        "{\"error\":{\"message\":\"cut\"},\"choices\":[{\"message\":{\"content\":\"half\"}}]}",
        "cut"
      ],
      ["HTML", "<!doctype html>\n<title>Log in</title>", "<!doctype html> <title>Log in</title>"],
      ["a stream without choices", "data: {\"choices\":[]}\n\ndata: [DONE]", "data: {\"choices\":[]} data: [DONE]"],
      ["JSON that is no object", "[\"a\"]", "[\"a\"]"],
      ["nothing", "", "says nothing"]
    ]
    it.effect.each(unusable)("fail with UnusableResponse: %s", ([, body, quoted]) =>
      Effect.gen(function*() {
        const server = yield* makeServer(text(200, body))
        const error = yield* LlmModel.sampleOne("p").pipe(
          sampling(client, server.url, { retry: Schedule.recurs(3) }),
          Effect.flip
        )
        const { description, status } = reasonOf(error, "UnusableResponse")
        assert.include(description, quoted)
        assert.strictEqual(status, 200)
        assert.lengthOf(server.received, 1)
      }))

    it.effect("are quoted in only a few hundred characters", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(text(200, "𝒳".repeat(50_000)))
        const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
        assert.isBelow(error.message.length, 600)
        assert.isTrue(error.message.isWellFormed())
      }))

    it.effect("are read up to 32 MiB, also if they are packed into less", () =>
      Effect.gen(function*() {
        for (const [encoding, packed] of tooLong()) {
          const server = yield* makeServer((response) =>
            response.writeHead(200, { "content-encoding": encoding, "content-length": packed.length }).end(packed)
          )
          const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
          assert.include(reasonOf(error, "UnusableResponse").description, "longer than 32 MiB")
        }
      }))

    it.effect("are not read to their end if their length is above 32 MiB", () =>
      Effect.gen(function*() {
        const server = yield* makeServer((response) => {
          response.writeHead(200, { "content-length": 2 ** 40 })
          const filling = Buffer.alloc(1024 * 1024, " ")
          const more = () => {
            while (!response.destroyed && response.write(filling));
          }
          response.on("drain", more)
          more()
        })
        const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
        assert.include(reasonOf(error, "UnusableResponse").description, "longer than 32 MiB")
        yield* server.cutOff(1)
      }))

    it.effect("leave nothing in a cache", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(
          text(200, "<html>"),
          json(200, { error: "no" }),
          choices(),
          choices({ message: { content: null } }),
          choices(choice("real"))
        )
        yield* Effect.gen(function*() {
          for (let i = 0; i < 4; i++) yield* Effect.flip(LlmModel.sampleOne("p"))
          assert.strictEqual(yield* LlmModel.sampleOne("p"), "real")
          assert.strictEqual(yield* LlmModel.sampleOne("p"), "real")
        }).pipe(
          Effect.provide(Persistent.layer().pipe(Layer.provide(MemoryStore.layer))),
          sampling(client, server.url)
        )
        assert.lengthOf(server.received, 5)
      }))
  })

  describe("connections", () => {
    it.effect.each(
      [["before the headers", cut], ["in the body", cutInBody(200)], ["in the chunks", cutInBody(200, {})]] as const
    )(
      "fail with Transport if they are cut %s, and the request is retried",
      ([, reply]) =>
        Effect.gen(function*() {
          const server = yield* makeServer(reply, reply, completion())
          const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
          assert.include(reasonOf(error, "Transport").description, `${server.url}/v1/chat/completions`)
          const sample = yield* LlmModel.sampleOne("p").pipe(
            sampling(client, server.url, { retry: Schedule.recurs(1) })
          )
          assert.strictEqual(sample, "sample 0")
          assert.lengthOf(server.received, 3)
        })
    )

    it.effect("fail with UntrustedCertificate if no one trusts the server, and are not tried again", () =>
      Effect.gen(function*() {
        const server = yield* makeUntrustedServer
        const error = yield* LlmModel.sampleOne("p").pipe(
          sampling(client, server.url, { retry: Schedule.recurs(3) }),
          Effect.flip
        )
        assert.include(reasonOf(error, "UntrustedCertificate").description, "DEPTH_ZERO_SELF_SIGNED_CERT")
        assert.isFalse("isRetryable" in error && error.isRetryable)
        assert.strictEqual(server.connections(), 1)
      }))

    it.effect("fail with BadRequest for an https URL of a server without TLS", () =>
      Effect.gen(function*() {
        const server = yield* makeServer()
        const error = yield* LlmModel.sampleOne("p").pipe(
          sampling(client, server.url.replace("http:", "https:"), { retry: Schedule.recurs(3) }),
          Effect.flip
        )
        assert.include(reasonOf(error, "BadRequest").description, "http://")
      }))

    it.effect("fail with Transport if they cannot be made", () =>
      Effect.gen(function*() {
        const { url } = yield* Effect.scoped(makeServer())
        const error = yield* Effect.flip(sampling(client, url)(LlmModel.sampleOne("p")))
        assert.include(reasonOf(error, "Transport").description, "ECONNREFUSED")
      }))

    it.effect("time out before the headers, are closed, and the request is retried", () =>
      Effect.gen(function*() {
        const server = yield* makeServer((response, received) => {
          arrived.openUnsafe()
          hang(response, received)
        }, completion())
        const arrived = yield* Latch.make()
        const fiber = yield* LlmModel.sampleOne("p").pipe(
          sampling(client, server.url, { retry: Schedule.recurs(1) }),
          Effect.forkChild
        )
        yield* arrived.await
        yield* TestClock.adjust("9 minutes")
        assert.strictEqual(fiber.pollUnsafe(), undefined)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(fiber), "sample 0")
        yield* server.cutOff(1)
      }))

    it.effect("time out in the body and are closed", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(hangInBody)
        const headers = yield* Latch.make()
        const telling = Layer.effect(
          HttpClient.HttpClient,
          Effect.map(HttpClient.HttpClient, HttpClient.tap(() => headers.open))
        ).pipe(Layer.provide(client))
        const fiber = yield* LlmModel.sampleOne("p").pipe(
          sampling(telling, server.url, { timeout: "30 seconds" }),
          Effect.flip,
          Effect.forkChild
        )
        yield* headers.await
        yield* TestClock.adjust("30 seconds")
        assert.include(reasonOf(yield* Fiber.join(fiber), "Timeout").description, "30s")
        yield* server.cutOff(1)
      }))

    it.effect("leave no timer asleep when they have ended", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(completion(), cut)
        const clock = yield* Clock.Clock
        const asleep = { now: 0, most: 0 }
        const counting: Clock.Clock = Object.assign(Object.create(clock), {
          sleep: (duration: Duration.Duration) =>
            Effect.acquireUseRelease(
              Effect.sync(() => (asleep.most = Math.max(asleep.most, ++asleep.now))),
              () => clock.sleep(duration),
              () => Effect.sync(() => asleep.now--)
            )
        })
        for (let i = 0; i < 2; i++) {
          const draw = Effect.exit(sampling(client, server.url)(LlmModel.sampleOne("p")))
          yield* Effect.provideService(draw, Clock.Clock, counting)
          assert.deepStrictEqual(asleep, { now: 0, most: 1 })
        }
      }))

    it.effect.each(
      [
        ["before the headers", hang],
        ["in chunks", hangInBody],
        ["in a body of a known length", (response) => response.writeHead(200, { "content-length": 1000 }).write("{")]
      ] satisfies ReadonlyArray<[string, Reply]>
    )("are closed when the draw is interrupted %s", ([where, reply]) =>
      Effect.gen(function*() {
        const arrived = yield* Latch.make()
        const server = yield* makeServer((response, received) => {
          reply(response, received)
          if (where === "before the headers") arrived.openUnsafe()
        })
        const telling = Layer.effect(
          HttpClient.HttpClient,
          Effect.map(HttpClient.HttpClient, HttpClient.tap(() => arrived.open))
        ).pipe(Layer.provide(client))
        const fiber = yield* Effect.forkChild(sampling(telling, server.url)(LlmModel.sampleOne("p")))
        yield* arrived.await
        yield* Fiber.interrupt(fiber)
        yield* server.cutOff(1)
      }))
  })

  describe("redirects", () => {
    it.effect.each([301, 302, 303, 307, 308])(
      "of status %d are rejected, and the key goes to no other server",
      (status) =>
        Effect.gen(function*() {
          const other = yield* makeServer(choices(choice("from elsewhere")))
          const server = yield* makeServer(text(status, "", { location: `${other.url}/v1/chat/completions?token=t` }))
          const error = yield* LlmModel.sampleOne("p").pipe(
            sampling(client, server.url, { retry: Schedule.recurs(3) }),
            Effect.flip
          )
          const { description } = reasonOf(error, "BadRequest")
          assert.include(description, `${other.url}/v1/chat/completions`)
          assert.notInclude(description, "token")
          assert.include(description, "baseUrl")
          assert.lengthOf(server.received, 1)
          for (const { headers } of other.received) assert.notInclude(JSON.stringify(headers), "sk-test")
        })
    )

    it.effect("are rejected within an origin, too", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(text(307, "", { location: "/v2/chat/completions" }), completion())
        const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
        assert.include(reasonOf(error, "BadRequest").description, `${server.url}/v2/chat/completions`)
      }))

    it.effect("are rejected if a client follows them by itself", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(text(307, "", { location: "/v2/chat/completions" }), completion())
        const following = Layer.succeed(
          HttpClient.HttpClient,
          HttpClient.make((request, url, signal) =>
            Effect.map(
              Effect.promise(() => fetch(url, { method: "POST", body: "{}", signal })),
              (response) => HttpClientResponse.fromWeb(request, response)
            )
          )
        )
        const error = yield* Effect.flip(sampling(following, server.url)(LlmModel.sampleOne("p")))
        assert.include(reasonOf(error, "BadRequest").description, `${server.url}/v2/chat/completions`)
        assert.lengthOf(server.received, 2)
      }))

    it.effect("are rejected without a location", () =>
      Effect.gen(function*() {
        const server = yield* makeServer(text(302, ""))
        const error = yield* Effect.flip(sampling(client, server.url)(LlmModel.sampleOne("p")))
        assert.include(reasonOf(error, "BadRequest").description, "another place")
      }))
  })

  it.effect("sends requests only when the consumer needs them, and fills them evenly", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(completion())
      const sizes = () => server.received.map(({ body }) => body.n ?? 1)
      yield* LlmModel.sample("p", { batch: 20 }).pipe(
        Stream.take(20),
        Stream.runDrain,
        sampling(client, server.url, { maxBatch: 10 })
      )
      assert.deepStrictEqual(sizes(), [10, 10])
      server.received.length = 0
      yield* LlmModel.sampleMany("p", 20).pipe(
        Effect.provide(Independent.layer),
        sampling(client, server.url, { maxBatch: 8 })
      )
      assert.strictEqual(sizes().reduce((a, b) => a + b), 20)
      assert.isAtMost(Math.max(...sizes()), 8)
    }))
})
