import { assert, describe, it } from "@effect/vitest"
import { Events, Fork, Independent, LlmModel, MemoryStore, Persistent, Trace, TraceIndex } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import { makeDirectory } from "./support/directory.ts"
import { using } from "./support/provider.ts"
import { traced } from "./support/traced.ts"

/** Draws of the cache itself, and of two Independents over it. Some samples are requested and some are stored. */
const program = Effect.gen(function*() {
  const { model } = yield* TestModel.make({ model: "m", script: ({ prompt }, i) => ({ samples: [`${prompt} ${i}`] }) })
  const cache = yield* Persistent.make(model, yield* MemoryStore.make)
  const [one, other] = [yield* Independent.make(cache), yield* Independent.make(cache)]
  return Effect.gen(function*() {
    yield* LlmModel.sampleOne("p").pipe(using(cache))
    yield* LlmModel.sampleMany("p", 2).pipe(using(one))
    yield* LlmModel.sampleMany("p", 3).pipe(using(other))
    yield* LlmModel.sampleOne("p").pipe(using(one), Fork.fork("f"))
    yield* LlmModel.sampleOne("p").pipe(using(one))
  })
})

/** The fork, the Independent and the position of each sample that was taken. */
const takenOf = Effect.fnUntraced(function*(file: string) {
  const index = TraceIndex.make(file)
  yield* Effect.repeat(index.advance, { while: (isMore) => isMore })
  const [draw] = (yield* index.draws({}, 0, 1)).draws
  const { identity, promptHash } = draw!.key
  return {
    drawn: (yield* index.draws({}, 0, 100)).draws.map(({ independent, position }) => [independent, position]),
    taken: index.taken(identity, promptHash, 0, 100)
      .map(({ independent, path, position }) => [path.join(), independent, position])
  }
})

describe("The Independents of a run", () => {
  it.effect("are told apart by their numbers in its trace, and so are draws of none", () =>
    Effect.gen(function*() {
      const { file } = yield* traced(yield* makeDirectory, yield* program)
      const draws = [[undefined, 0], [1, 0], [1, 1], [2, 0], [2, 1], [2, 2], [1, 0], [1, 2]]
      const { drawn, taken } = yield* takenOf(file)
      assert.deepStrictEqual(drawn, draws)
      assert.sameDeepMembers(
        taken,
        draws.map(([independent, position], i) => [
          i === 6 ? "f" : "",
          independent,
          position
        ])
      )
      const lines = yield* Stream.runCollect(Trace.read(file))
      assert.deepStrictEqual(
        lines.flatMap((entry) =>
          entry.type === "hit" || entry.type === "miss" ? [[entry.type, entry.independent, entry.position]] : []
        ),
        [
          ["miss", undefined, 0],
          ["hit", 1, 0],
          ["miss", 1, 1],
          ["hit", 2, 0],
          ["hit", 2, 1],
          ["miss", 2, 2],
          ["miss", 1, 0],
          ["hit", 1, 2]
        ]
      )
    }))

  it.effect("have no numbers in traces of earlier versions, which are read as before", () =>
    Effect.gen(function*() {
      const { file } = yield* traced(yield* makeDirectory, yield* program)
      Fs.writeFileSync(file, Fs.readFileSync(file, "utf8").replaceAll(/,"independent":\d+/g, ""))
      const { drawn } = yield* takenOf(file)
      assert.deepStrictEqual(drawn.map(([, position]) => position), [0, 0, 1, 0, 1, 2, 0, 2])
      assert.deepStrictEqual([...new Set(drawn.map(([independent]) => independent))], [undefined])
    }))

  it.effect("are told of in the misses of a replication", () =>
    Effect.gen(function*() {
      const { model } = yield* TestModel.make({ model: "m", script: () => ({ samples: ["a"] }) })
      const replica = yield* Persistent.make(model, yield* MemoryStore.make, { replication: true })
      const readers = [yield* Independent.make(replica), yield* Independent.make(replica)]
      const { file } = yield* traced(
        yield* makeDirectory,
        Effect.forEach(readers, (reader) => Effect.ignore(LlmModel.sampleOne("p").pipe(using(reader))))
      )
      assert.deepStrictEqual((yield* takenOf(file)).drawn, [[1, 0], [2, 0]])
    }))

  it.effect("are told of where several wait for one request", () =>
    Effect.gen(function*() {
      const { model } = yield* TestModel.make({ model: "m", script: () => ({ samples: ["a"] }) })
      const cache = yield* Persistent.make(
        { ...model, draw: (...args) => Effect.andThen(Effect.yieldNow, model.draw(...args)) },
        yield* MemoryStore.make
      )
      const readers = [yield* Independent.make(cache), yield* Independent.make(cache)]
      const events: Array<Events.Event> = []
      const listened = yield* Events.make
      yield* listened.listen((event) => events.push(event))
      yield* Effect.all(readers.map((reader) => LlmModel.sampleOne("p").pipe(using(reader))), { concurrency: 2 }).pipe(
        Effect.provideService(Events.Events, listened)
      )
      const draws = events.filter(({ _tag }) => _tag === "Hit" || _tag === "Miss") as ReadonlyArray<Events.Hit>
      assert.lengthOf(draws, 2)
      assert.isTrue(draws.every(({ reader }) => reader !== undefined))
      assert.notStrictEqual(draws[0]!.reader, draws[1]!.reader)
    }))
})

describe("An index over a trace that another program changes", () => {
  it.effect("says so where a line is no longer at its place", () =>
    Effect.gen(function*() {
      const { file } = yield* traced(yield* makeDirectory, yield* program)
      const index = TraceIndex.make(file)
      yield* Effect.repeat(index.advance, { while: (isMore) => isMore })
      const whole = Fs.readFileSync(file, "utf8")
      Fs.writeFileSync(file, whole.replace(`"t":"run"`, `"t": "run"`))
      for (
        const look of [
          Effect.asVoid(index.draws({}, 0, 1)),
          Effect.asVoid(index.draw(3)),
          Effect.asVoid(index.prompts("asked", 1))
        ]
      ) {
        const { kind, message } = yield* Effect.flip(look)
        assert.strictEqual(kind, "Unavailable")
        assert.include(message, `${file}, open: the file was changed while it was read: look again`)
      }
    }))
})
