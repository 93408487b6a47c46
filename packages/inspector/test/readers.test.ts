/** The readers of a run, and the words for those that race. */
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Events, Identity, Independent, Key, LlmModel, Persistent, Trace } from "@llm-cache/core"
import { Effect } from "effect"
import { hashOf } from "./support/example.ts"
import { get, makeDirectory, servePages } from "./support/pages.ts"

const json = (url: string) => Effect.map(get(url), ({ text }) => JSON.parse(text))

/** Writes the trace of a race of two draws in a fork, and returns the run. */
const raced = (directory: string, fork: ReadonlyArray<string>, place: string | undefined) =>
  Effect.scoped(Effect.gen(function*() {
    const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", fork)
    const { give, listener, run } = yield* Trace.make({ directory, name: "night 1" })
    for (const position of [0, 1]) {
      if (position === 1) listener({ _tag: "Raced", key, position })
      listener({ _tag: "Hit", key, position, store: "s", waited: false, sample: { text: "a", metadata: {} } })
      if (place !== undefined) yield* give(key, [position], place)
    }
    return run.id
  }))

describe("The picture of a prompt", () => {
  it.live("has a row for each Independent of a run", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const id = yield* Effect.scoped(Effect.gen(function*() {
        const events = yield* Events.make
        const { listener, run } = yield* Trace.make({ directory, name: "votes" })
        yield* events.listen(listener)
        const model = yield* LlmModel.make({
          model: "m",
          generate: ({ n }) => Effect.succeed({ samples: Array.from({ length: n }, (_, i) => ({ text: `a ${i}` })) })
        })
        const cache = yield* Persistent.make(model, yield* DirectoryStore.make(directory, { durability: "process" }))
        for (const count of [2, 3]) {
          const reader = yield* Independent.make(cache)
          yield* LlmModel.sampleMany("p", count).pipe(
            Effect.provideService(LlmModel.LlmModel, reader),
            Effect.provideService(Events.Events, events)
          )
        }
        return run.id
      }))
      const url = `${yield* servePages(directory)}/inspect/prompts/${hashOf("p")}`
      const { runs: [{ readers }] } = yield* json(`${url}.json?run=${id}`)
      assert.deepStrictEqual(readers.map(({ positions, reader }: any) => [reader, positions]), [
        ["Independent 1", [0, 1]],
        ["Independent 2", [0, 1, 2]]
      ])
      const { text } = yield* get(`${url}?run=${id}`)
      assert.include(text, "2 readers, which share samples")
      const legend = (text: string) => Array.from(text.matchAll(/class="key (\w+)"/g), ([, color]) => color)
      assert.deepStrictEqual(legend(text), ["sequence", "bought"])
      assert.deepStrictEqual(legend((yield* get(url)).text), [])
    }).pipe(Effect.scoped, Effect.orDie))
})

describe("A fork with a number for its name", () => {
  it.live("is told from a position", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", ["0", "12"])
      const store = yield* DirectoryStore.make(directory, { durability: "process" })
      yield* store.put(key, [{ id: "a", position: 0, drawn: { text: "a", metadata: {}, origins: [] } }], "drop")
      const id = yield* raced(directory, key.path, undefined)
      const url = `${yield* servePages(directory)}/inspect`
      const { text } = yield* get(`${url}/prompts/${hashOf("p")}?run=${id}`)
      assert.include(text, "fork 0/12: 0<")
      assert.include(text, "fork 0/12 took positions 0, 1")
      assert.match((yield* get(`${url}/runs/${id}`)).text, />fork 0<[^]*>fork 12</)
    }).pipe(Effect.scoped, Effect.orDie))
})

describe("The advice for races", () => {
  it.live("of a server's clients names the place of a fork, in the base URL and in the header", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const url = `${yield* servePages(directory)}/inspect/runs`
      const id = yield* raced(directory, ["step/2"], "/independent")
      const advice = "/run/night%201/independent/fork/step%2F2/fork/worker-1/v1"
      const { text } = yield* get(`${url}/${id}`)
      assert.include(text, `<code>${advice}</code>`)
      assert.include(text, "<code>llm-cache-place: /fork/worker-1</code>")
      assert.notInclude(text, "Fork.forEach")
      assert.include((yield* get(`${url}/${id}.md`)).text, advice)
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("of a program with the library names the functions of forks", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const url = `${yield* servePages(directory)}/inspect/runs`
      const id = yield* raced(directory, [], undefined)
      const { text } = yield* get(`${url}/${id}`)
      assert.include(text, "<code>Fork.forEach(workers, work, { concurrency })</code>")
      assert.notInclude(text, "llm-cache-place")
      assert.include((yield* json(`${url}/${id}.json`)).raceAdvice, "Give each worker a fork")
    }).pipe(Effect.scoped, Effect.orDie))
})
