import { assert, describe } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { makeKey, putTexts, type Subject } from "./subject.ts"

/** A sample of a random store, and its fate. */
const Fate = Schema.Literals(["missing", "stored", "removed", "damaged"])

/** How many positions the random stores have, and how many stores a test tries. */
const [positions, stores] = [8, 20]

export const peek = ({ damage, hasPeek, open, other, test }: Subject): void => {
  describe("peeks", () => {
    test(hasPeek ? "on request" : "never", () =>
      Effect.map(open, ({ peek }) => {
        assert.strictEqual(peek !== undefined, hasPeek)
      }))
    if (!hasPeek) return

    test("at the samples of getMany in random stores, up to a gap or damage", () =>
      Effect.gen(function*() {
        const store = yield* open
        const fates = yield* Arbitrary.sampleEffect(Arbitrary.schema(Schema.Array(Fate)), { count: stores })
        for (const some of fates) {
          const fate = some.slice(0, positions).map((kind) =>
            kind === "damaged" && damage === undefined ? "stored" : kind
          )
          const key = yield* makeKey()
          for (const [i, kind] of fate.entries()) if (kind !== "missing") yield* putTexts(store, key, [i, `at ${i}`])
          // A reader that remembers samples has to notice the changes.
          yield* store.getMany(key, 0, positions)
          store.peek!(key, 0, positions)
          for (const [i, kind] of fate.entries()) {
            if (kind === "removed") yield* store.remove(key, [i])
            if (kind === "damaged" && damage !== undefined) yield* damage(key, i)
          }
          // A new store may have to read a position once before it can peek.
          for (const reader of [store, yield* other(store)]) {
            for (let from = 0; from <= fate.length; from++) {
              for (let count = 1; count <= fate.length + 1; count++) {
                const what = `${fate.join()}, ${count} from ${from}`
                const before = reader.peek!(key, from, count)
                const exit = yield* Effect.exit(reader.getMany(key, from, count))
                const samples = Exit.isSuccess(exit) ? exit.value : []
                assert.deepStrictEqual(samples.map(({ text }) => text), expected(fate, from, count), what)
                assert.deepStrictEqual(before, samples.slice(0, before.length), what)
                assert.deepStrictEqual(reader.peek!(key, from, count), samples, what)
              }
            }
          }
        }
      }))

    test("at nothing of a new prompt, and at no more samples than it is asked for", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        assert.deepStrictEqual(store.peek!(key, 0, 10), [])
        yield* putTexts(store, key, [0, "a"], [1, "b"], [2, "c"])
        yield* store.getMany(key, 0, 3)
        assert.deepStrictEqual(store.peek!(key, 0, 0), [])
        assert.deepStrictEqual(store.peek!(key, 1, 1).map(({ text }) => text), ["b"])
        assert.deepStrictEqual(store.peek!(key, 0, 1_000_000_000).map(({ text }) => text), ["a", "b", "c"])
      }))
  })
}

/** The texts from a position on, up to a sample that cannot be read. */
const expected = (fate: ReadonlyArray<string>, from: number, count: number): ReadonlyArray<string> => {
  const some = fate.slice(from, from + count).map((kind, i) => kind === "stored" ? `at ${from + i}` : undefined)
  const end = some.indexOf(undefined)
  return some.slice(0, end < 0 ? some.length : end) as Array<string>
}
