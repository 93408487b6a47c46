/**
 * The conformance suite of `SampleStore`: what every store has to do, as tests.
 *
 * **When to use**
 *
 * Use in the tests of a store of your own. What the suite cannot see (the store's layout, its faults, other processes)
 * needs tests beside it.
 *
 * **Example** (A store in a directory)
 *
 * ```ts
 * import { SampleStore } from "@llm-cache/core"
 * import { SampleStoreTest } from "@llm-cache/testing"
 * import * as Fs from "node:fs"
 * import * as Os from "node:os"
 * import * as Path from "node:path"
 *
 * const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "store-"))
 *
 * SampleStoreTest.suite("directory", SampleStore.layerDirectory(root))
 * ```
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import { Identity, Independent, Key, LlmModel, Persistent, type Sample, SampleStore } from "@llm-cache/core"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { paths, texts, triples } from "./internal/values.ts"

/**
 * What a store can be tested for.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Whether a store that is built again, by the same layer, has what the one before has stored.
   *
   * @default true
   */
  readonly isDurable?: boolean | undefined
  /**
   * Whether the store has leases.
   *
   * @default false
   */
  readonly hasLeases?: boolean | undefined
  /**
   * Changes the stored text of a sample from outside, as a fault would. Without it, the tests of damage are skipped.
   */
  readonly damage?: ((key: Key.Key, position: number) => Effect.Effect<void>) | undefined
  /**
   * How long a test may take, in milliseconds.
   *
   * @default 30_000
   */
  readonly timeout?: number | undefined
}

/**
 * Defines the tests of a store.
 *
 * **Details**
 *
 * Each test builds the layer anew, some of them twice. All of them may see one place: they use keys of their own.
 *
 * @category tests
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<SampleStore.SampleStore, E>,
  options: Options = {}
): void => {
  const { damage, hasLeases = false, isDurable = true, timeout = 30_000 } = options
  // A layer that is built anew, whatever was built of it before.
  const open: Effect.Effect<SampleStore.Store, E, Scope.Scope> = Effect.map(
    Layer.build(Layer.fresh(layer)),
    Context.get(SampleStore.SampleStore)
  )
  // Another process, or another part of the program, that uses the same place.
  const other = (store: SampleStore.Store) => isDurable ? open : Effect.succeed(store)
  const test = <A, E>(name: string, self: () => Effect.Effect<A, E, Scope.Scope>) => it.live(name, self, { timeout })

  const durably: typeof test = (name, self) => isDurable && test(name, self)

  describe(`the store ${name}`, () => {
    describe("gives back what was put", () => {
      for (const [what, text] of texts) {
        test(`to the byte: ${what}`, () =>
          Effect.gen(function*() {
            const key = yield* makeKey({ prompt: text })
            const store = yield* open
            yield* put(store, key, [0, text], [1, `${text}.`])
            const again = yield* other(store)
            assert.deepStrictEqual(yield* textsOf(again, key), [text, `${text}.`])
            assert.strictEqual((yield* listed(again, key.identity))[0]?.key.prompt, text)
          }))
      }

      test("any text", () =>
        Effect.gen(function*() {
          const store = yield* open
          const texts = yield* Arbitrary.sampleEffect(Arbitrary.schema(Schema.String), { count: 200 })
          const key = yield* makeKey()
          yield* store.prepare(key)
          for (const [i, text] of texts.entries()) yield* put(store, key, [i, text.toWellFormed()])
          assert.deepStrictEqual(yield* textsOf(store, key), texts.map((text) => text.toWellFormed()))
        }))

      test("with all that is known of it", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const samples: Array<Sample.Drawn> = [
            { text: "a", metadata: {}, origins: [] },
            {
              text: "b",
              metadata: {
                request: "3f9c6d5e-0b1a-4c57-8f0e-5d0d2b7a9c11",
                index: 2,
                model: "gpt-4o-2024-08-06 \u{1F600}",
                finishReason: "length",
                createdAt: 1_760_000_000_123,
                elapsed: 1234,
                requestSamples: 3,
                inputTokens: 17,
                outputTokens: 2_000_000_000
              },
              origins: [3, 0, 4_000_000_000]
            },
            { text: "c", metadata: { elapsed: 0.25, inputTokens: 0 }, origins: [0] }
          ]
          yield* store.put(key, [{ position: 0, drawn: samples[0]! }], "drop")
          yield* store.put(key, [{ position: 1, drawn: samples[1]! }, { position: 2, drawn: samples[2]! }], "append")
          const again = yield* other(store)
          assert.deepStrictEqual(yield* Effect.forEach([0, 1, 2], (i) => again.get(key, i)), samples)
        }))

      test("1,000 samples of a prompt, and 200 prompts", () =>
        Effect.gen(function*() {
          const store = yield* open
          const key = yield* makeKey()
          const entries = Array.from({ length: 1000 }, (_, i) => entry(i, `sample ${i}`))
          for (let i = 0; i < entries.length; i += 100) {
            yield* store.put(key, nonEmpty(entries.slice(i, i + 100)), "drop")
          }
          const keys = yield* Effect.forEach(
            Array.from({ length: 200 }, (_, i) => `prompt ${i}`),
            (prompt) => makeKey({ prompt })
          )
          yield* Effect.forEach(keys, (key) => put(store, key, [0, `of ${key.prompt}`]), { concurrency: 20 })
          const again = yield* other(store)
          assert.deepStrictEqual(yield* textsOf(again, key), entries.map(({ drawn }) => drawn.text))
          for (const key of keys) assert.deepStrictEqual(yield* textsOf(again, key), [`of ${key.prompt}`])
        }))
    })

    describe("gives many samples at once", () => {
      test("with all that is known of them, as one by one", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const entries = texts.map(([, text], position) => ({
            position,
            drawn: { text, metadata: { request: "r", index: position, finishReason: "stop" }, origins: [position, 7] }
          }))
          yield* store.put(key, nonEmpty(entries), "drop")
          const again = yield* other(store)
          const drawn = entries.map(({ drawn }) => drawn)
          assert.deepStrictEqual(yield* again.getMany(key, 0, drawn.length), drawn)
          assert.deepStrictEqual(yield* again.getMany(key, 0, 1_000_000_000), drawn)
          assert.deepStrictEqual(yield* again.getMany(key, 2, 3), drawn.slice(2, 5))
          assert.deepStrictEqual(yield* again.getMany(key, drawn.length, 3), [])
          assert.deepStrictEqual(yield* again.getMany(key, 0, 0), [])
          assert.deepStrictEqual(yield* again.getMany(yield* makeKey(), 0, 3), [])
        }))

      test("up to the first gap", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const far = 1_000_000_000_000
          const positions = [0, 1, 3, 4, 5, 1_048_574, 1_048_575, 1_048_576, 1_048_577, far, far + 1]
          for (const position of positions) yield* put(store, key, [position, `at ${position}`])
          const read = (from: number, count: number) =>
            Effect.map(store.getMany(key, from, count), (found) => found.map(({ text }) => text))
          assert.deepStrictEqual(yield* read(0, 10), ["at 0", "at 1"])
          assert.deepStrictEqual(yield* read(1, 1), ["at 1"])
          assert.deepStrictEqual(yield* read(2, 10), [])
          assert.deepStrictEqual(yield* read(3, 1000), ["at 3", "at 4", "at 5"])
          assert.deepStrictEqual(yield* read(1_048_574, 10), positions.slice(5, 9).map((position) => `at ${position}`))
          assert.deepStrictEqual(yield* read(far, 10), [`at ${far}`, `at ${far + 1}`])
        }))

      test("however many there are", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const entries = Array.from({ length: 1000 }, (_, i) => entry(i, `sample ${i}`))
          for (let i = 0; i < entries.length; i += 100) {
            yield* store.put(key, nonEmpty(entries.slice(i, i + 100)), "drop")
          }
          const drawn = entries.map(({ drawn }) => drawn)
          assert.deepStrictEqual(yield* store.getMany(key, 0, 1000), drawn)
          assert.deepStrictEqual(yield* store.getMany(key, 100, 600), drawn.slice(100, 700))
          yield* store.remove(key, [512])
          assert.deepStrictEqual(yield* store.getMany(key, 0, 1000), drawn.slice(0, 512))
        }))
    })

    describe("knows positions", () => {
      test("in their order, with gaps, however they were put", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const positions = [10, 2, 1_000_000_000_000, 0, 9, 100]
          yield* Effect.forEach(positions, (position) => put(store, key, [position, `at ${position}`]))
          const again = yield* other(store)
          assert.deepStrictEqual(yield* again.positions(key), positions.toSorted((a, b) => a - b))
          for (const position of positions) {
            assert.strictEqual((yield* again.get(key, position))?.text, `at ${position}`)
          }
          assert.isUndefined(yield* again.get(key, 1))
          assert.isUndefined(yield* again.get(key, 1_000_000_000_001))
        }))

      test("of a prompt that it does not have: none, also when it was made ready for it", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          for (let i = 0; i < 2; i++) {
            assert.deepStrictEqual(yield* store.positions(key), [])
            assert.isUndefined(yield* store.get(key, 0))
            assert.deepStrictEqual(yield* store.prompts(key.identity, 10), [])
            assert.deepStrictEqual(yield* listed(store, key.identity), [])
            yield* store.prepare(key)
          }
        }))

      test("that are removed are missing, and the others stay where they are", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          yield* put(store, key, [0, "a"], [1, "b"], [2, "c"])
          yield* store.remove(key, [0, 2])
          yield* store.remove(key, [0, 7])
          const again = yield* other(store)
          assert.deepStrictEqual(yield* again.positions(key), [1])
          assert.isUndefined(yield* again.get(key, 0))
          assert.strictEqual((yield* again.get(key, 1))?.text, "b")
          assert.deepStrictEqual(yield* put(again, key, [0, "new"]), [0])
          assert.strictEqual((yield* store.get(key, 0))?.text, "new")
          yield* again.remove(key, [0, 1])
          assert.deepStrictEqual(yield* listed(store, key.identity), [])
          assert.deepStrictEqual(yield* store.prompts(key.identity, 10), [])
        }))
    })

    describe("never writes over a sample", () => {
      test("the first writer wins, and the second is told", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const again = yield* other(store)
          assert.deepStrictEqual(yield* put(store, key, [1, "first"]), [1])
          assert.deepStrictEqual(yield* put(again, key, [0, "zero"], [1, "second"], [2, "two"]), [0, undefined, 2])
          assert.deepStrictEqual(yield* textsOf(store, key), ["zero", "first", "two"])
        }))

      test("what is to be kept goes to the next position that has none, in its order", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const again = yield* other(store)
          yield* put(store, key, [0, "a"], [1, "b"], [3, "d"])
          const entries = [entry(0, "x"), entry(1, "y"), entry(2, "z")]
          assert.deepStrictEqual(yield* again.put(key, nonEmpty(entries), "append"), [2, 4, 5])
          assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b", "x", "d", "y", "z"])
        }))

      for (const ifTaken of ["drop", "append"] as const) {
        test(`a sample that is put twice is there once (${ifTaken})`, () =>
          Effect.gen(function*() {
            const key = yield* makeKey()
            const store = yield* open
            const again = yield* other(store)
            yield* put(store, key, [1, "taken"])
            const entries = nonEmpty([
              { ...entry(0, "same"), id: "a 0" },
              { ...entry(1, "same"), id: "a 1" },
              { ...entry(2, "same"), id: "a 2" }
            ])
            const positions = ifTaken === "drop" ? [0, undefined, 2] : [0, 2, 3]
            assert.deepStrictEqual(yield* store.put(key, entries, ifTaken), positions)
            assert.deepStrictEqual(yield* again.put(key, entries, ifTaken), positions)
            // alone as well
            for (const [i, entry] of entries.entries()) {
              assert.deepStrictEqual(yield* again.put(key, [entry], ifTaken), [positions[i]])
            }
            const others = nonEmpty(entries.map((entry) => ({ ...entry, id: `b ${entry.id}` })))
            assert.deepStrictEqual(
              yield* store.put(key, others, ifTaken),
              ifTaken === "drop" ? [undefined, undefined, undefined] : [4, 5, 6]
            )
            assert.strictEqual((yield* again.get(key, 1))?.text, "taken")
            assert.strictEqual((yield* again.positions(key)).length, ifTaken === "drop" ? 3 : 7)
          }))
      }

      test("a sample that was removed is put anew, also where another one has its place by then", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const again = yield* other(store)
          const mine = { ...entry(0, "mine"), id: "a 0" }
          assert.deepStrictEqual(yield* store.put(key, [mine], "drop"), [0])
          yield* store.remove(key, [0])
          assert.deepStrictEqual(yield* again.put(key, [{ ...entry(0, "theirs"), id: "b 0" }], "drop"), [0])
          assert.deepStrictEqual(yield* store.put(key, [mine], "drop"), [undefined])
          assert.deepStrictEqual(yield* store.put(key, [mine], "append"), [1])
          assert.deepStrictEqual(yield* textsOf(again, key), ["theirs", "mine"])
        }))

      test("many writers at once: each sample has one place, and none is lost", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const again = yield* other(store)
          const texts = Array.from({ length: 60 }, (_, i) => `sample ${i}`)
          const placed = yield* Effect.forEach(texts, (text, i) =>
            (i % 2 === 0 ? store : again).put(
              key,
              [{ ...entry(0, `${text} a`), id: `${i} a` }, { ...entry(1, `${text} b`), id: `${i} b` }],
              "append"
            ), { concurrency: "unbounded" })
          const positions = Array.from({ length: 120 }, (_, i) => i)
          assert.deepStrictEqual(placed.flat().toSorted((a, b) => a! - b!), positions)
          assert.deepStrictEqual(yield* store.positions(key), positions)
          for (const [i, [a, b]] of placed.entries()) {
            assert.strictEqual((yield* store.get(key, a!))?.text, `${texts[i]} a`)
            assert.strictEqual((yield* again.get(key, b!))?.text, `${texts[i]} b`)
          }
        }))

      test("many writers of one position: one of them wins, and all see its sample", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const again = yield* other(store)
          const results = yield* Effect.forEach(
            Array.from({ length: 40 }, (_, i) => i),
            (i) => Effect.map(put(i % 2 === 0 ? store : again, key, [0, `by ${i}`]), ([at]) => ({ i, at })),
            { concurrency: "unbounded" }
          )
          const winners = results.filter(({ at }) => at === 0)
          assert.strictEqual(winners.length, 1)
          assert.strictEqual((yield* store.get(key, 0))?.text, `by ${winners[0]!.i}`)
          assert.strictEqual((yield* again.get(key, 0))?.text, `by ${winners[0]!.i}`)
        }))
    })

    describe("tells keys apart", () => {
      test("whose identities differ in one parameter", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const again = yield* other(store)
          const keys = yield* Effect.forEach(triples(model), (options) => makeKey(options))
          yield* Effect.forEach(keys, (key, i) => put(store, key, [0, `${i}`], [1, `${i} too`]))
          for (const [i, key] of keys.entries()) {
            assert.deepStrictEqual(yield* textsOf(again, key), [`${i}`, `${i} too`], key.identity.toString())
            assert.deepStrictEqual(yield* again.prompts(key.identity, 10), [key.prompt])
            assert.deepStrictEqual((yield* listed(again, key.identity)).map(({ key }) => key.identity.id), [
              key.identity.id
            ])
          }
        }))

      test("whose prompts differ in case, in spaces, or in how a letter is composed", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const prompts = ["a", "A", "a ", " a", "a\n", "\u00E9", "e\u0301", "", "\0", "a\0"]
          const keys = yield* Effect.forEach(prompts, (prompt) => makeKey({ model, prompt }))
          yield* Effect.forEach(keys, (key, i) => put(store, key, [0, `${i}`]))
          for (const [i, key] of keys.entries()) assert.deepStrictEqual(yield* textsOf(store, key), [`${i}`])
          const stored = yield* store.prompts(keys[0]!.identity, 100)
          assert.deepStrictEqual(stored.toSorted(), prompts.toSorted())
        }))

      test("of different forks", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const again = yield* other(store)
          const keys = yield* Effect.forEach(paths, (path) => makeKey({ model, path }))
          yield* Effect.forEach(keys, (key, i) => put(store, key, [0, `${i}`]))
          for (const [i, key] of keys.entries()) {
            assert.deepStrictEqual(yield* textsOf(again, key), [`${i}`], JSON.stringify(key.path))
          }
          const found = yield* listed(again, keys[0]!.identity)
          assert.deepStrictEqual(
            found.map(({ key }) => JSON.stringify(key.path)).toSorted(),
            paths.map((path) => JSON.stringify(path)).toSorted()
          )
        }))
    })

    describe("lists", () => {
      test("every key that has samples, once, with their number", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const again = yield* other(store)
          const keys = yield* Effect.forEach(
            Array.from({ length: 30 }, (_, i) => i),
            (i) => makeKey({ model, prompt: `p${i % 10}`, path: i < 10 ? [] : [`${i}`, "x"] })
          )
          for (const [i, key] of keys.entries()) {
            yield* store.prepare(key)
            for (let position = 0; position < i % 4; position++) yield* put(store, key, [position, `${position}`])
          }
          const expected = keys.flatMap((key, i) => i % 4 === 0 ? [] : [[key.prompt, key.path, i % 4]])
          const found = (yield* listed(again, keys[0]!.identity)).map(({ key, samples }) => [
            key.prompt,
            key.path,
            samples
          ])
          const sorted = (items: ReadonlyArray<unknown>) => items.map((item) => JSON.stringify(item)).toSorted()
          assert.deepStrictEqual(sorted(found), sorted(expected))
        }))

      test("at most as many prompts as it is asked for, and no other identity's", () =>
        Effect.gen(function*() {
          const [model, another] = [unique(), unique()]
          const store = yield* open
          for (const prompt of ["a", "b", "c"]) yield* put(store, yield* makeKey({ model, prompt }), [0, "x"])
          yield* put(store, yield* makeKey({ model: another, prompt: "d" }), [0, "x"])
          yield* put(store, yield* makeKey({ model: another, prompt: "e", path: ["fork"] }), [0, "x"])
          const { identity } = yield* makeKey({ model })
          assert.deepStrictEqual((yield* store.prompts(identity, 10)).toSorted(), ["a", "b", "c"])
          assert.strictEqual((yield* store.prompts(identity, 2)).length, 2)
          const rest = yield* store.prompts((yield* makeKey({ model: another })).identity, 10)
          assert.deepStrictEqual(rest.toSorted(), ["d", "e"])
        }))
    })

    describe("that is damaged", () => {
      const damaged = <A, E>(
        name: string,
        self: (damage: NonNullable<Options["damage"]>) => Effect.Effect<A, E, Scope.Scope>
      ) =>
        damage === undefined
          ? it.effect.skip(`${name} (no way to damage it was given)`, () => Effect.void)
          : test(name, () => self(damage))

      damaged("tells a sample that is not what was put from one that is missing", (damage) =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          yield* put(store, key, [0, "a"], [1, "b"], [2, "c"])
          yield* damage(key, 1)
          const again = yield* other(store)
          const error = yield* Effect.flip(again.get(key, 1))
          assert.strictEqual(error.kind, "Damaged")
          assert.strictEqual(error.operation, "get")
          assert.strictEqual(error.key?.promptHash, key.promptHash)
          assert.strictEqual(error.position, 1)
          assert.isUndefined(yield* again.get(key, 3))
          assert.strictEqual((yield* again.get(key, 0))?.text, "a")
          assert.strictEqual((yield* again.get(key, 2))?.text, "c")
          assert.deepStrictEqual(yield* again.positions(key), [0, 1, 2])
        }))

      damaged("ends many samples before one that is not what was put", (damage) =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          yield* put(store, key, [0, "a"], [1, "b"], [2, "c"], [3, "d"])
          yield* damage(key, 2)
          const again = yield* other(store)
          assert.deepStrictEqual((yield* again.getMany(key, 0, 4)).map(({ text }) => text), ["a", "b"])
          const error = yield* Effect.flip(again.getMany(key, 2, 2))
          assert.deepStrictEqual(error, yield* Effect.flip(again.get(key, 2)))
          assert.deepStrictEqual((yield* again.getMany(key, 3, 4)).map(({ text }) => text), ["d"])
        }))

      damaged("keeps what is there until it is removed", (damage) =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          yield* put(store, key, [0, "a"])
          yield* damage(key, 0)
          assert.deepStrictEqual(yield* put(store, key, [0, "b"]), [undefined])
          assert.strictEqual((yield* Effect.flip(store.get(key, 0))).kind, "Damaged")
          yield* store.remove(key, [0])
          assert.deepStrictEqual(yield* put(store, key, [0, "b"]), [0])
          assert.strictEqual((yield* store.get(key, 0))?.text, "b")
        }))

      damaged("says what is damaged when it is verified, and only that", (damage) =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          yield* put(store, key, [0, "a"], [1, "b"])
          const filter = ({ identity }: Key.Key) => identity.id === key.identity.id
          assert.deepStrictEqual((yield* SampleStore.verify(store, { filter })).damaged, [])
          yield* damage(key, 1)
          const { damaged, keys, samples } = yield* SampleStore.verify(store, { filter })
          assert.deepStrictEqual([keys, samples], [1, 2])
          assert.deepStrictEqual(damaged.map(({ key, position }) => [key?.prompt, position]), [[key.prompt, 1]])
        }))
    })

    describe("under a model", () => {
      durably("replays in another run, without a request, what one has recorded", () =>
        Effect.gen(function*() {
          const source = yield* provider(unique())
          const record = Effect.gen(function*() {
            const model = yield* Persistent.make(source.model, yield* open)
            const independent = yield* Independent.make(model)
            const using = Effect.provideService(LlmModel.LlmModel, independent)
            return yield* Effect.all([
              LlmModel.sampleMany("a", 3),
              LlmModel.sampleMany("a", 2, { batch: 4 }),
              LlmModel.sampleMany("b", 1)
            ]).pipe(using)
          }).pipe(Effect.scoped)
          const first = yield* record
          assert.deepStrictEqual(first, [["a #0", "a #1", "a #2"], ["a #3", "a #4"], ["b #7"]])
          const requests = source.requests()
          assert.deepStrictEqual(yield* record, first)
          assert.strictEqual(source.requests(), requests)
        }))

      durably("goes on behind what it has recorded of a shared reader", () =>
        Effect.gen(function*() {
          const source = yield* provider(unique())
          const big = yield* SampleStore.memory
          const draw = (n: number) =>
            Effect.gen(function*() {
              const independent = yield* Independent.make(yield* Persistent.make(source.model, big))
              const model = yield* Persistent.make(independent, yield* open)
              const using = (model: LlmModel.Model) => Effect.provideService(LlmModel.LlmModel, model)
              const recorded = yield* LlmModel.sampleMany("a", n).pipe(using(model))
              return [recorded, yield* LlmModel.sampleOne("a").pipe(using(independent))]
            }).pipe(Effect.scoped)
          assert.deepStrictEqual(yield* draw(2), [["a #0", "a #1"], "a #2"])
          assert.deepStrictEqual(yield* draw(1), [["a #0"], "a #2"])
        }))

      test("two that miss the same position at the same time agree, and both keep what they bought", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const stores = [store, yield* other(store)]
          const runs = yield* Effect.forEach(stores, (store, i) =>
            Effect.gen(function*() {
              const source = yield* provider(model, `of ${i}`)
              const persistent = yield* Persistent.make(source.model, store)
              return yield* LlmModel.sampleMany("a", 5, { batch: 2 }).pipe(
                Effect.provideService(LlmModel.LlmModel, persistent),
                Effect.map((texts) => ({ texts, bought: source.bought }))
              )
            }), { concurrency: "unbounded" })
          const [one, two] = runs
          assert.deepStrictEqual(one!.texts, two!.texts)
          const stored = yield* textsOf(store, yield* makeKey({ model, prompt: "a" }))
          assert.deepStrictEqual(stored.slice(0, 5), one!.texts)
          assert.sameMembers(stored, [...one!.bought(), ...two!.bought()])
        }))
    })

    describe("moves", () => {
      test("all that it has to another store, and back, in order", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const keys = yield* Effect.forEach(
            texts.slice(0, -1),
            ([, text]) => makeKey({ model, prompt: text, path: [`fork ${text.length}`] })
          )
          for (const [i, key] of keys.entries()) {
            yield* put(store, key, ...texts.map(([, text], j): readonly [number, string] => [j + i, text]))
          }
          const filter = ({ identity }: Key.Key) => identity.name === model
          const samples = keys.length * texts.length
          const memory = yield* SampleStore.memory
          const nothing = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0, damaged: [] }
          assert.deepStrictEqual(yield* SampleStore.copy(store, memory, { filter }), { ...nothing, copied: samples })
          assert.deepStrictEqual(yield* SampleStore.copy(memory, store), { ...nothing, present: samples })
          for (const key of keys) yield* store.remove(key, [2, 5])
          const moved = yield* SampleStore.copy(memory, store)
          const removed = moved.copied
          assert.deepStrictEqual(moved, { ...nothing, copied: removed, present: samples - removed })
          assert.isAbove(removed, 0)
          for (const key of keys) assert.deepStrictEqual(yield* textsOf(store, key), yield* textsOf(memory, key))
        }))

      for (const ifDifferent of ["ours", "theirs", "append"] as const) {
        test(`merges what is different by the policy ${ifDifferent}, once`, () =>
          Effect.gen(function*() {
            const key = yield* makeKey()
            const store = yield* open
            const memory = yield* SampleStore.memory
            yield* put(store, key, [0, "a"], [1, "ours"], [2, "ours too"])
            yield* put(memory, key, [0, "a"], [1, "theirs"], [2, "theirs too"], [3, "new"])
            const error = yield* Effect.flip(SampleStore.merge(memory, store))
            assert.strictEqual(error._tag, "SampleConflict")
            if (error._tag === "SampleConflict") {
              assert.strictEqual(error.key.prompt, key.prompt)
              assert.strictEqual(error.position, 1)
              assert.include(error.message, key.promptHash)
            }
            const expected = {
              ours: ["a", "ours", "ours too", "new"],
              theirs: ["a", "theirs", "theirs too", "new"],
              append: ["a", "ours", "ours too", "new", "theirs", "theirs too"]
            }[ifDifferent]
            for (let i = 0; i < 2; i++) {
              yield* SampleStore.merge(memory, store, { ifDifferent })
              assert.deepStrictEqual(yield* textsOf(store, key), expected)
            }
          }))
      }
    })

    describe("leases positions", () => {
      const leases = (store: SampleStore.Store): SampleStore.Leases => {
        if (store.leases === undefined) throw new Error("the store has no leases")
        return store.leases
      }
      const leased: typeof test = (name, self) => hasLeases && test(name, self)

      test(hasLeases ? "if asked to" : "never", () =>
        Effect.map(open, (store) => {
          assert.strictEqual(store.leases !== undefined, hasLeases)
        }))

      leased("to one holder at a time, all of them or none", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const [a, b] = [leases(store), leases(yield* other(store))]
          const long = 60_000
          assert.isTrue(yield* a.acquire(key, [1, 2], "a", long))
          assert.isFalse(yield* b.acquire(key, [2, 3], "b", long))
          assert.isFalse(yield* b.acquire(key, [1], "b", long))
          assert.isTrue(yield* b.acquire(key, [3], "b", long))
          assert.isTrue(yield* a.acquire(key, [1, 2], "a", long))
          assert.isFalse(yield* a.acquire(key, [3], "a", long))
          assert.isTrue(yield* b.acquire(yield* makeKey(), [1], "b", long))
          yield* b.release(key, [1, 2, 3], "b")
          assert.isFalse(yield* b.acquire(key, [1], "b", long))
          assert.isTrue(yield* a.acquire(key, [3], "a", long))
          yield* a.release(key, [1, 2, 3], "a")
          assert.isTrue(yield* b.acquire(key, [1, 2, 3], "b", long))
          yield* b.release(key, [1, 2, 3], "b")
        }))

      leased("to one of many who want them at once", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const both = [leases(store), leases(yield* other(store))]
          const results = yield* Effect.forEach(
            Array.from({ length: 20 }, (_, i) => i),
            (i) => both[i % 2]!.acquire(key, [0, 1], `${i}`, 60_000),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(results.filter((isOurs) => isOurs).length, 1)
        }))

      leased("until their time is over, which their holder can start anew", () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const { acquire } = leases(yield* open)
          assert.isTrue(yield* acquire(key, [0], "a", 20))
          yield* Effect.repeat(acquire(key, [0], "b", 60_000), { until: (isOurs) => isOurs })
          assert.isTrue(yield* acquire(key, [1], "a", 20))
          assert.isTrue(yield* acquire(key, [1], "a", 60_000))
          assert.isTrue(yield* acquire(key, [2], "a", 20))
          yield* Effect.repeat(acquire(key, [2], "b", 60_000), { until: (isOurs) => isOurs })
          assert.isFalse(yield* acquire(key, [1], "b", 60_000))
        }))

      leased("so that one of two models buys, and the other waits for it", () =>
        Effect.gen(function*() {
          const model = unique()
          const store = yield* open
          const stores = [store, yield* other(store)]
          const source = yield* provider(model)
          const models = yield* Effect.forEach(stores, (store) =>
            Persistent.make(source.model, store, { lease: "1 minute" }))
          const runs = yield* Effect.forEach(
            [...models, ...models],
            (model) =>
              LlmModel.sampleMany("a", 6, { batch: 3 }).pipe(Effect.provideService(LlmModel.LlmModel, model)),
            { concurrency: "unbounded" }
          )
          for (const texts of runs) assert.deepStrictEqual(texts, Array.from({ length: 6 }, (_, i) => `a #${i}`))
          assert.strictEqual(source.bought().length, 6)
        }))
    })
  })
}

// -----------------------------------------------------------------------------
// what the tests use
// -----------------------------------------------------------------------------

let keys = 0

/** A name that no other test uses, nor a run of the tests before, in a place that lasts. */
const unique = () => `suite-${crypto.randomUUID()}-${keys++}`

const makeKey = (
  options: { readonly prompt?: string; readonly path?: ReadonlyArray<string> } & Partial<Identity.Options> = {}
) =>
  Effect.map(
    Effect.orDie(Identity.make({ ...options, model: options.model ?? unique() })),
    (identity) => new Key.Key(identity, options.prompt ?? "a prompt", options.path ?? [])
  )

const entry = (position: number, text: string): Sample.Entry => ({
  position,
  drawn: { text, metadata: {}, origins: [] }
})

const nonEmpty = <A>(items: ReadonlyArray<A>) => items as readonly [A, ...Array<A>]

const put = (store: SampleStore.Store, key: Key.Key, ...samples: ReadonlyArray<readonly [number, string]>) =>
  store.put(key, nonEmpty(samples.map(([position, text]) => entry(position, text))), "drop")

const textsOf = (store: SampleStore.Store, key: Key.Key) =>
  Effect.flatMap(
    store.positions(key),
    (positions) => Effect.forEach(positions, (position) => Effect.map(store.get(key, position), (drawn) => drawn?.text))
  )

const listed = (store: SampleStore.Store, identity: Identity.Identity) =>
  store.keys.pipe(
    Stream.filterMap((element) => element),
    Stream.filter(({ key }) => key.identity.id === identity.id),
    Stream.runCollect
  )

/** A provider whose samples are all different, and that counts. */
const provider = (name: string, prefix?: string) =>
  Effect.sync(() => {
    const bought: Array<string> = []
    let requests = 0
    return {
      bought: () => bought,
      requests: () => requests,
      make: LlmModel.make({
        model: name,
        generate: ({ n, prompt }) =>
          Effect.map(Effect.yieldNow, () => {
            requests++
            const samples = Array.from({ length: n }, (_, i) => `${prefix ?? prompt} #${bought.length + i}`)
            bought.push(...samples)
            return { samples }
          })
      })
    }
  }).pipe(Effect.flatMap(({ make, ...rest }) => Effect.map(make, (model) => ({ ...rest, model }))))
