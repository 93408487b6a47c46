// Streams of a server that come in odd forms, cut, broken and mixed up. Each seed is one stream: see LLM_CACHE_STREAM_RUNS.
import { assert, describe, it } from "@effect/vitest"
import { CachedModel, RequestModel } from "@llm-cache/ai"
import { MemoryStore, Persistent, type SampleError, SampleStore } from "@llm-cache/core"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Cause, Effect, Exit, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel, type Response, Tool, Toolkit } from "effect/ai"
import { HttpClient, HttpClientResponse } from "effect/http"
import { samplesOf } from "./support/listed.ts"
import {
  badEvents,
  bodyOf,
  brokenFields,
  type Chunk,
  cutAt,
  harmless,
  makeChance,
  makeChunks,
  mixedUp,
  type Sent
} from "./support/mutilated.ts"

const runs = Number(process.env["LLM_CACHE_STREAM_RUNS"] ?? 20)
const first = Number(process.env["LLM_CACHE_STREAM_SEED"] ?? 0)

const toolkit = Toolkit.make(
  Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })
)

/** A model of a server that sends one body, in pieces, and counts its requests. */
const serving = (sent: Sent) => {
  let requests = 0
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      requests++
      let next = 0
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          const piece = sent.pieces[next++]
          if (piece !== undefined) controller.enqueue(piece)
          else if (sent.isTorn) controller.error(new Error("torn"))
          else controller.close()
        }
      })
      return HttpClientResponse.fromWeb(
        request,
        new globalThis.Response(body, { headers: { "content-type": "text/event-stream" } })
      )
    })
  )
  const layer = ChatCompletionsModel.layer({
    baseUrl: "http://127.0.0.1/v1",
    apiKey: Redacted.make("none"),
    model: "m",
    config: { temperature: 1 },
    retry: Schedule.recurs(0)
  }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
  return { layer, requests: () => requests }
}

type Part = Response.StreamPart<Toolkit.Tools<typeof toolkit>>

interface Seen {
  readonly parts: ReadonlyArray<Part>
  readonly exit: Exit.Exit<void, unknown>
}

/** What a program sees of a stream, up to an error. */
const seen: Effect.Effect<Seen, never, LanguageModel.LanguageModel> = Effect.gen(function*() {
  const parts: Array<Part> = []
  const stream = LanguageModel.streamText({ prompt: "hi", toolkit, disableToolCallResolution: true })
  const exit = yield* Effect.exit(
    Stream.runForEach(stream, (part) => Effect.sync(() => void parts.push(part as Part)))
  )
  return { parts, exit }
})

/** The stream of a bare model, that of a cached one, and a replay of it. */
const tellAll = (sent: Sent) =>
  Effect.gen(function*() {
    const bare = yield* Effect.provide(seen, serving(sent).layer)
    const server = serving(sent)
    const store = yield* MemoryStore.make
    const cached = CachedModel.layer().pipe(
      Layer.provideMerge(Persistent.layer({ store: Layer.succeed(SampleStore.SampleStore, store) })),
      Layer.provide(RequestModel.layer({ model: "m", temperature: 1, uniqueResponseIds: false })),
      Layer.provide(server.layer)
    )
    return yield* Effect.gen(function*() {
      const live = yield* seen
      const stored = yield* samplesOf(store)
      const replay = yield* seen
      return { bare, live, replay, stored: stored.length, requests: server.requests() }
    }).pipe(Effect.provide(cached))
  })

type Told = Effect.Success<ReturnType<typeof tellAll>>

/** An error that programs can handle, or the end of a whole answer. Nothing else. */
const assertLawful = ({ bare, live, replay, requests, stored }: Told) => {
  for (const { exit, parts } of [bare, live]) {
    if (Exit.isSuccess(exit)) {
      assert.strictEqual(parts.filter(({ type }) => type === "finish").length, 1)
      assert.strictEqual(parts.at(-1)!.type, "finish")
    } else {
      assert.isTrue(exit.cause.reasons.every(Cause.isFailReason), Cause.pretty(exit.cause))
      assert.isFalse(parts.some(({ type }) => type === "finish"), Cause.pretty(exit.cause))
    }
  }
  assert.strictEqual(Exit.isSuccess(live.exit), Exit.isSuccess(bare.exit))
  if (Exit.isSuccess(live.exit)) {
    assert.deepStrictEqual(meaningOf(live), meaningOf(bare))
    assert.deepStrictEqual(toldParts(replay), toldParts(live))
    assert.deepStrictEqual({ requests, stored }, { requests: 1, stored: 1 })
    return
  }
  const [one, other] = [reasonOf(bare), reasonOf(live)]
  assert.strictEqual(other, one)
  if (one === "InvalidOutputError" || one === "ToolNotFoundError") {
    // The answer came whole, and the model broke the schema of a tool.
    assert.strictEqual(reasonOf(replay), one)
    assert.deepStrictEqual({ requests, stored }, { requests: 1, stored: 1 })
  } else {
    // The next program asks again.
    assert.deepStrictEqual({ requests, stored }, { requests: 2, stored: 0 })
  }
}

const reasonOf = ({ exit }: Seen) => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
  return AiError.isAiError(error) ? error.reason._tag : assert.fail(String(error))
}

/** The parts without the metadata of the cache, which say that a replay is one. */
const toldParts = ({ parts }: Seen) => parts.map(({ metadata: _, ...part }: any) => part)

/** The texts, the calls and the reason of a whole answer. */
const meaningOf = ({ exit, parts }: Seen) => {
  assert.isTrue(Exit.isSuccess(exit), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
  const textOf = (type: "text-delta" | "reasoning-delta") =>
    parts.map((part) => part.type === type ? part.delta : "").join("")
  return {
    text: textOf("text-delta"),
    reasoning: textOf("reasoning-delta"),
    calls: parts.flatMap((part) => part.type === "tool-call" ? [{ name: part.name, params: part.params }] : []),
    reason: parts.flatMap((part) => part.type === "finish" ? [part.reason] : [])
  }
}

const each = (check: (seed: number) => Effect.Effect<void, SampleError.InvalidInput>) =>
  Effect.gen(function*() {
    const failures: Array<string> = []
    for (let seed = first; seed < first + runs; seed++) {
      const exit = yield* Effect.exit(check(seed))
      if (Exit.isFailure(exit)) failures.push(`LLM_CACHE_STREAM_SEED=${seed}: ${Cause.pretty(exit.cause)}`)
    }
    assert.lengthOf(failures, 0, `${failures.length} of ${runs}\n${failures.slice(0, 3).join("\n")}`)
  })

const plainly = (chunks: ReadonlyArray<Chunk>): Sent => ({ pieces: [Buffer.from(bodyOf(chunks))], isTorn: false })

describe("a stream of a server", () => {
  it.effect("means the same in each form that the protocol allows", () =>
    each((seed) =>
      Effect.gen(function*() {
        const chance = makeChance(seed)
        const chunks = makeChunks(chance)
        const expected = meaningOf(yield* Effect.provide(seen, serving(plainly(chunks)).layer))
        const told = yield* tellAll(harmless(chance, chunks))
        assertLawful(told)
        assert.deepStrictEqual(meaningOf(told.bare), expected)
      })
    ))

  it.effect("that is cut is an error, unless the model was done", () =>
    each((seed) =>
      Effect.gen(function*() {
        const chance = makeChance(seed)
        const chunks = makeChunks(chance)
        const { isDone, sent } = cutAt(chance, chunks)
        const told = yield* tellAll(sent)
        assertLawful(told)
        assert.strictEqual(Exit.isSuccess(told.bare.exit), isDone)
        if (!isDone) return
        assert.deepStrictEqual(
          meaningOf(told.bare),
          meaningOf(yield* Effect.provide(seen, serving(plainly(chunks)).layer))
        )
      })
    ))

  it.effect("with an event that is an error or no JSON fails", () =>
    each((seed) =>
      Effect.gen(function*() {
        const chance = makeChance(seed)
        const told = yield* tellAll(badEvents(chance, makeChunks(chance)))
        assertLawful(told)
        assert.isTrue(Exit.isFailure(told.bare.exit))
      })
    ))

  it.effect("with a piece that cannot be read fails, and does not lose it in silence", () =>
    each((seed) =>
      Effect.gen(function*() {
        const chance = makeChance(seed)
        const told = yield* tellAll(plainly(brokenFields(chance, makeChunks(chance))))
        assertLawful(told)
        assert.isTrue(Exit.isFailure(told.bare.exit))
      })
    ))

  it.effect("that is mixed up ends by itself, and is stored and replayed as it was told", () =>
    each((seed) =>
      Effect.gen(function*() {
        const chance = makeChance(seed)
        assertLawful(yield* tellAll(mixedUp(chance, makeChunks(chance))))
      })
    ))
})
