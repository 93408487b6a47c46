import { assert, describe, it } from "@effect/vitest"
import { Identity, Key, Trace } from "@llm-cache/core"
import { Effect, Exit, Option, Scope, Stream } from "effect"
import * as Fs from "node:fs"
import { get, makeDirectory, servePages } from "./support/pages.ts"

/** The names of the events of a page, as they come. */
const eventsOf = (url: string) =>
  Stream.unwrap(Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (controller) => Effect.sync(() => controller.abort())
    ).pipe(
      Effect.flatMap(({ signal }) => Effect.promise(() => fetch(url, { signal })))
    ),
    ({ body }) => Stream.fromReadableStream({ evaluate: () => body!, onError: () => "closed" as const })
  )).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line.startsWith("event: ")),
    Stream.map((line) => line.slice("event: ".length))
  )

const begun = Effect.fnUntraced(function*(directory: string) {
  const scope = yield* Scope.make()
  const trace = yield* Scope.provide(Trace.make({ directory, name: "growing" }), scope)
  const identity = yield* Identity.make({ model: "m" })
  const draw = (position: number) =>
    Effect.sync(() =>
      trace.listener({
        _tag: "Hit",
        key: new Key.Key(identity, "p", []),
        position,
        store: "s",
        waited: false,
        sample: { text: "a", metadata: {} }
      })
    )
  return { id: trace.run.id, draw, end: Scope.close(scope, Exit.void) }
})

describe("A live page", () => {
  it.live("is told of each change of its run, and of its end", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const url = `${yield* servePages(directory)}/inspect`
      const run = yield* begun(directory)
      yield* run.draw(0)
      const asked = Effect.map(get(`${url}/runs/${run.id}.json`), ({ text }) => JSON.parse(text).receipt.asked)
      yield* Effect.repeat(asked, { until: (asked) => asked === 1 })
      let changes = 0
      yield* eventsOf(`${url}/events?run=${run.id}`).pipe(
        Stream.runForEach((event) => event === "change" && ++changes === 2 ? run.end : Effect.void),
        Effect.raceFirst(Effect.forever(Effect.andThen(run.draw(1), Effect.sleep("100 millis"))))
      )
      assert.isAtLeast(changes, 2)
      assert.isAbove(yield* asked, 1)
    }).pipe(Effect.scoped))

  it.live("of the runs is told of a new one", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const url = `${yield* servePages(directory)}/inspect`
      const first = yield* eventsOf(`${url}/events`).pipe(
        Stream.runHead,
        Effect.raceFirst(Effect.forever(Effect.andThen(Effect.sleep("600 millis"), begun(directory))))
      )
      assert.deepStrictEqual(first, Option.some("change"))
    }).pipe(Effect.scoped))

  it.live("of the runs is told of a summary that comes after the lines", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const url = `${yield* servePages(directory)}/inspect`
      const run = yield* begun(directory)
      yield* run.end
      const summary = (yield* Trace.list(directory))[0]!.file.replace(/l$/, "")
      let touched = 0
      const touch = Effect.sync(() => Fs.utimesSync(summary, 1, ++touched))
      const first = yield* eventsOf(`${url}/events`).pipe(
        Stream.runHead,
        Effect.raceFirst(Effect.forever(Effect.andThen(Effect.sleep("300 millis"), touch))),
        Effect.timeoutOption("20 seconds")
      )
      assert.deepStrictEqual(Option.flatten(first), Option.some("change"))
    }).pipe(Effect.scoped))

  it.live("of a run that is not there ends at once", () =>
    Effect.gen(function*() {
      const url = `${yield* servePages(yield* makeDirectory)}/inspect`
      assert.deepStrictEqual(yield* Stream.runCollect(eventsOf(`${url}/events?run=none`)), ["end"])
    }).pipe(Effect.scoped))
})
