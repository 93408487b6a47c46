import { assert, describe, it } from "@effect/vitest"
import { ModelAnswer } from "@llm-cache/ai"
import { SampleStore } from "@llm-cache/core"
import { Effect, Random, Result } from "effect"
import * as ChildProcess from "node:child_process"
import { folder } from "../../testing/test/support/disk.ts"
import { agentRequests } from "./support/agent.ts"
import { makeAimock } from "./support/http.ts"
import { keysOf } from "./support/listed.ts"
import { type StoreName, stores } from "./support/stores.ts"
import { answerLength, type Line } from "./support/streamProcess.ts"

const kills = Number(process.env["LLM_CACHE_KILLS"] ?? 6)
const storeNames: ReadonlyArray<StoreName> = ["directory", "sqlite"]

const start = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = new URL(`support/${script}.ts`, import.meta.url).pathname
      return ChildProcess.spawn(process.execPath, [path, ...args], { stdio: ["pipe", "pipe", "inherit"] })
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** The lines of a process, at its end. `onLine` gets the number of each. */
const linesOf = (child: ChildProcess.ChildProcess, onLine = (_: number) => {}) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    let output = ""
    child.stdout?.setEncoding("utf8").on("data", (data: string) => {
      for (const _ of data.matchAll(/\n/g)) onLine(++count)
      output += data
    })
    let count = 0
    child.on("close", () => resume(Effect.succeed(output.split("\n").slice(0, -1))))
  })

describe.each(storeNames)("processes over one %s", (name) => {
  /** The output of the agent, and the number of its requests. */
  const agent = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
    const [output = "", requests] = yield* Effect.flatMap(
      start("agentProcess", name, ...args),
      (child) => linesOf(child)
    )
    return [output, requests]
  })

  it.live("an agent records, sends nothing in its second run, and replicates without a model", () =>
    Effect.gen(function*() {
      const place = yield* folder
      const [output, requests] = yield* agent(place, "record")
      assert.include(output, "streamed")
      assert.strictEqual(requests, String(agentRequests))
      assert.deepStrictEqual(yield* agent(place, "record"), [output, "0"])
      assert.deepStrictEqual(yield* agent(place, "replicate"), [output, "0"])
    }))

  it.live("an agent over HTTP does so too, after its server has stopped", () =>
    Effect.gen(function*() {
      const place = yield* folder
      const mock = yield* makeAimock
      const { url } = mock
      const [output] = yield* agent(place, "record", url)
      assert.include(output, "a report of more tha")
      assert.lengthOf(mock.getRequests(), agentRequests)
      yield* Effect.promise(() => mock.stop())
      assert.strictEqual((yield* agent(place, "record", url))[0], output)
      assert.strictEqual((yield* agent(place, "replicate", url))[0], output)
    }))

  /** Runs streams in processes that start at once, each killed at a line of its output if one is given. */
  const stream = Effect.fnUntraced(function*(
    place: string,
    streams: number,
    options: { readonly processes?: number; readonly lease?: string; readonly killAt?: number }
  ) {
    const children = yield* Effect.replicateEffect(
      start("streamProcess", name, place, String(streams), ...options.lease === undefined ? [] : [options.lease]),
      options.processes ?? 1
    )
    let ready = 0
    const outputs = yield* Effect.forEach(children, (child) =>
      linesOf(child, (line) => {
        if (line === 1 && ++ready === children.length) { for (const { stdin } of children) stdin?.write("\n") }
        if (line === options.killAt) child.kill("SIGKILL")
      }), { concurrency: "unbounded" })
    return outputs.map((lines) => {
      const shown = new Map<string, { text: string; end: string | undefined }>()
      let requests: number | undefined
      for (const json of lines.slice(1)) {
        const line: Line = JSON.parse(json)
        if ("requests" in line) {
          requests = line.requests
          continue
        }
        const one = shown.get(line.prompt) ?? { text: "", end: undefined }
        if ("delta" in line) one.text += line.delta
        else one.end = line.end
        shown.set(line.prompt, one)
      }
      return { requests, shown }
    })
  })

  /** The texts of all samples of a place. A sample that is not whole fails the test. */
  const stored = Effect.fnUntraced(function*(place: string) {
    const store = yield* SampleStore.SampleStore
    const samples = yield* Effect.flatMap(keysOf(store), Effect.forEach((key) => store.getMany(key, 0, 100)))
    return samples.flat().map(({ text }) => {
      const parts = ModelAnswer.toStream(Result.getOrThrow(ModelAnswer.decode(text)))
      const shown = parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
      assert.lengthOf(shown, answerLength, place)
      assert.strictEqual(parts.at(-1)?.type, "finish")
      return shown.join("")
    })
  }, (effect, place) => Effect.provide(effect, stores[name](place)))

  it.live(
    `${kills} processes that are killed in the middle of streams leave whole answers, or nothing`,
    () =>
      Effect.gen(function*() {
        const place = yield* folder
        const whole = new Set<string>()
        for (let i = 0; i < kills; i++) {
          const streams = 6 * (i + 1)
          // Streams that are there are shown again.
          const killAt = 2 + whole.size * (answerLength + 1) + (yield* Random.nextIntBetween(1, 5 * answerLength))
          const [killed] = yield* stream(place, streams, { killAt })
          assert.isUndefined(killed!.requests)
          for (const { end, text } of killed!.shown.values()) if (end === "whole") whole.add(text)
          assert.includeMembers(yield* stored(place), [...whole])
        }
        const before = yield* stored(place)
        const [last] = yield* stream(place, 6 * kills, {})
        assert.includeMembers([...last!.shown.values()].map(({ text }) => text), before)
        assert.strictEqual(last!.requests, 6 * kills - before.length)
        assert.lengthOf(yield* stored(place), 6 * kills)
      }),
    60_000 + kills * 5_000
  )

  it.live("two processes that stream at once show what is recorded, or fail with an error", () =>
    Effect.gen(function*() {
      const place = yield* folder
      const processes = yield* stream(place, 12, { processes: 2 })
      const texts = yield* stored(place)
      for (const { shown } of processes) {
        assert.strictEqual(shown.size, 12)
        for (const { end, text } of shown.values()) {
          if (end === "whole") assert.include(texts, text)
          else assert.include(end, "`lease`")
        }
      }
    }))

  // Folders have no leases.
  if (name !== "sqlite") return
  it.live(
    "two processes that stream at once under a lease show the same, and each answer is bought once",
    () =>
      Effect.gen(function*() {
        const place = yield* folder
        const [one, other] = yield* stream(place, 12, { processes: 2, lease: "1 minute" })
        assert.deepStrictEqual(one!.shown, other!.shown)
        for (const { end } of one!.shown.values()) assert.strictEqual(end, "whole")
        assert.sameMembers(yield* stored(place), [...one!.shown.values()].map(({ text }) => text))
        assert.strictEqual(one!.requests! + other!.requests!, 12)
      })
  )
})
