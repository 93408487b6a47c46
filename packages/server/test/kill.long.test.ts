import { assert, describe, it } from "@effect/vitest"
import { Trace } from "@llm-cache/core"
import { Cause, Effect, Exit, Fiber, Random, Stream } from "effect"
import * as Path from "node:path"
import { serve } from "./support/command.ts"
import { makeDirectory, send, user } from "./support/server.ts"
import { chunks, completion, json, makeUpstream, type Reply, startStream } from "./support/upstream.ts"

const kills = Number(process.env["LLM_CACHE_KILLS"] ?? 3)
const clients = 5

/** Answers after a moment, each time with other texts. Streams come in pieces. */
const slowly = (): Reply => {
  let count = 0
  return (response, { body }) => {
    const texts = Array.from({ length: body.n ?? 1 }, () => `sample ${count++} of some words`)
    if (!body.stream) {
      const choices = texts.map((content, index) => ({ index, message: { content }, finish_reason: "stop" }))
      setTimeout(() => json(response, completion(choices)), count % 4)
      return
    }
    startStream(response)
    const pieces = chunks(texts[0]!.split(/(?= )/).map((content) => ({ content })))
    const write = (i: number): unknown =>
      i === pieces.length ? response.end() : response.write(pieces[i]!, () => setImmediate(() => write(i + 1)))
    write(0)
  }
}

interface Seen {
  readonly key: string
  readonly attempt: string | undefined
  readonly positions: ReadonlyArray<number>
  readonly texts: ReadonlyArray<string>
}

const textsOf = (text: string, isStreamed: boolean): ReadonlyArray<string> => {
  if (!isStreamed) return JSON.parse(text).choices.map((choice: any) => choice.message.content)
  const texts: Array<string> = []
  const events = text.split("\n\n").filter((event) => event.startsWith("data: {")).map((event) =>
    JSON.parse(event.slice("data: ".length))
  )
  for (const { choices } of events) {
    for (const { delta, index } of choices) texts[index] = (texts[index] ?? "") + (delta.content ?? "")
  }
  return texts
}

const pick = <A>(all: ReadonlyArray<A>) => Effect.map(Random.nextIntBetween(0, all.length - 1), (i) => all[i]!)

/** A client's request of a run. `undefined` if it hung up. */
const ask = (url: string) =>
  Effect.gen(function*() {
    const prompt = yield* pick(["p", "q", "r"])
    const fork = yield* pick(["", "/fork/f", "/fork/g/fork/h"])
    const attempt = yield* pick([undefined, undefined, "x", "y", "z"])
    const n = yield* pick([1, 1, 1, 2, 3])
    const stream = yield* pick([true, false])
    const place = `/run/a/independent${attempt === undefined ? "" : `/repeatable/${attempt}`}${fork}`
    const request = send(url, `${place}/v1/chat/completions`, {
      body: { model: "m", messages: user(prompt), n, stream }
    })
    const answer = yield* (yield* Random.nextIntBetween(0, 9)) === 0
      ? Effect.timeoutOrElse(request, {
        duration: yield* Random.nextIntBetween(0, 6),
        orElse: () => Effect.undefined
      })
      : request
    if (answer === undefined) return undefined
    assert.strictEqual(answer.status, 200, answer.text)
    if (stream && !answer.text.includes("[DONE]")) return yield* Effect.die(new Error(`It broke off: ${answer.text}`))
    return {
      key: `${fork} ${prompt}`,
      attempt,
      positions: String(answer.headers["llm-cache-positions"]).split(",").map(Number),
      texts: textsOf(answer.text, stream)
    }
  })

describe.each(["directory", "SQLite"])("a server over a cache in %s that is killed", (kind) => {
  it.live("hands no draw of a run out twice, and has stored all that clients have seen", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(slowly())
      const directory = yield* makeDirectory
      const cache = kind === "directory" ? directory : Path.join(directory, "cache.db")
      const seen: Array<Seen> = []
      for (let i = 0; i < kills; i++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { ended, kill, url } = yield* serve(cache, ["--upstream", upstream.url])
          let left = yield* Random.nextIntBetween(1, 40)
          const client = Effect.forever(Effect.map(ask(url), (one) => {
            if (one !== undefined) seen.push(one)
            if (--left === 0) kill("SIGKILL")
          }))
          const all = yield* Effect.forEach(Array.from({ length: clients }), () => Effect.forkChild(client))
          const { stderr } = yield* ended
          assert.strictEqual(stderr, "")
          // Each ends when its connection breaks.
          for (const exit of yield* Effect.forEach(all, Fiber.await)) {
            const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) as NodeJS.ErrnoException : undefined
            assert.match(error?.code ?? String(error), /^(ECONN|EPIPE)/)
          }
        }))
      }

      const draws = seen.filter(({ attempt }) => attempt === undefined)
      for (const key of new Set(seen.map(({ key }) => key))) {
        const texts = draws.filter((one) => one.key === key).flatMap(({ texts }) => texts)
        assert.strictEqual(new Set(texts).size, texts.length, "a draw was handed out twice")
        const ofAttempts = new Set<string>()
        for (const attempt of ["x", "y", "z"]) {
          const all = seen.filter((one) => one.key === key && one.attempt === attempt)
          const longest = all.reduce<ReadonlyArray<string>>((a, { texts: b }) => a.length < b.length ? b : a, [])
          for (const { texts } of all) assert.deepStrictEqual(texts, longest.slice(0, texts.length))
          for (const text of longest) {
            assert.isFalse(ofAttempts.has(text) || texts.includes(text), "attempts share a draw")
            ofAttempts.add(text)
          }
        }
      }

      const last = yield* serve(cache, ["--replication"])
      for (const key of new Set(seen.map(({ key }) => key))) {
        const all = seen.filter((one) => one.key === key)
        const [fork, prompt] = key.split(" ") as [string, string]
        for (const { positions, texts } of all) {
          for (const [j, position] of positions.entries()) {
            const stored = yield* send(last.url, `${fork}/run/audit-${position}/v1/chat/completions`, {
              body: { model: "m", messages: user(prompt), n: position + 1 }
            })
            assert.strictEqual(stored.json.choices?.[position].message.content, texts[j], stored.text.slice(0, 500))
          }
        }
      }

      // The traces say the same: no reader gave a position that it had given and did not get back.
      const given = new Set<string>()
      for (const { file } of yield* Trace.list(directory, "a")) {
        yield* Stream.runForEach(Trace.read(file), (entry) =>
          Effect.sync(() => {
            if ((entry.type !== "given" && entry.type !== "returned") || entry.place !== "/independent") return
            for (const position of entry.positions) {
              const name = `${entry.key.promptHash} ${entry.key.path.join("/")} ${position}`
              if (entry.type === "returned") given.delete(name)
              else assert.isTrue(given.size < given.add(name).size, `${name} was given twice`)
            }
          }))
      }
      assert.isAtLeast(given.size, draws.length)
    }), { timeout: 60_000 + kills * 10_000 })
})
