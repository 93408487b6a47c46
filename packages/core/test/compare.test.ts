import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Identity, Key, MemoryStore, type Sample, type SampleStore, Transfer } from "@llm-cache/core"
import { Effect, Schema, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory } from "./support/directory.ts"

const keyOf = (prompt: string, path: ReadonlyArray<string> = []) =>
  Effect.map(Identity.make({ model: "m", temperature: 1 }), (identity) => new Key.Key(identity, prompt, path))

const put = (store: SampleStore.Store, key: Key.Key, position: number, text: string, metadata: Sample.Metadata = {}) =>
  store.put(key, [{ position, drawn: { text, metadata, origins: [] } }], "drop")

const compared = (first: SampleStore.Store, second: SampleStore.Store, options?: Transfer.CompareOptions) =>
  Effect.map(
    Stream.runCollect(Transfer.compare(first, second, options)),
    (all) =>
      all.map((one) =>
        one.kind === "damaged"
          ? one.kind
          : `${one.kind} ${[one.key.prompt, ...one.key.path].join("/")} ${one.position}`
      ).sort()
  )

describe("Transfer.compare", () => {
  const Place = Schema.Struct({
    prompt: Schema.Literals(["p", "q"]),
    fork: Schema.Literals(["", "f"]),
    position: Schema.Literals([0, 1, 300]),
    text: Schema.Literals(["a", "b"])
  })

  it.effect.prop(
    "says of each position that either store has whether they have the same sample",
    [Schema.Array(Place), Schema.Array(Place)],
    ([inFirst, inSecond]) =>
      Effect.gen(function*() {
        const fill = Effect.fnUntraced(function*(places: ReadonlyArray<typeof Place.Type>) {
          const store = yield* MemoryStore.make
          const texts = new Map<string, string>()
          for (const { fork, position, prompt, text } of places) {
            const path = fork === "" ? [] : [fork]
            const [at] = yield* put(store, yield* keyOf(prompt, path), position, text)
            if (at !== undefined) texts.set(`${[prompt, ...path].join("/")} ${position}`, text)
          }
          return [store, texts] as const
        })
        const [first, firstTexts] = yield* fill(inFirst)
        const [second, secondTexts] = yield* fill(inSecond)
        const expected = [...new Set([...firstTexts.keys(), ...secondTexts.keys()])].map((place) => {
          const [one, other] = [firstTexts.get(place), secondTexts.get(place)]
          const kind = other === undefined
            ? "onlyFirst"
            : one === undefined
            ? "onlySecond"
            : one === other
            ? "same"
            : "different"
          return `${kind} ${place}`
        })
        assert.deepStrictEqual(yield* compared(first, second), expected.sort())
      })
  )

  it.effect("gives both samples, and tells samples of one text by their requests", () =>
    Effect.gen(function*() {
      const [first, second] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
      const key = yield* keyOf("p")
      yield* put(first, key, 0, "a", { request: "r1", index: 0 })
      yield* put(second, key, 0, "a", { request: "r2", index: 0 })
      const [found] = yield* Stream.runCollect(Transfer.compare(first, second))
      assert.deepInclude(found, { kind: "different", position: 0 })
      assert(found?.kind === "different")
      assert.deepStrictEqual([found.first.metadata.request, found.second.metadata.request], ["r1", "r2"])
    }))

  it.effect("compares only the keys that pass the filter", () =>
    Effect.gen(function*() {
      const [first, second] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
      for (const prompt of ["p", "q"]) yield* put(first, yield* keyOf(prompt), 0, "a")
      for (const prompt of ["r", "q"]) yield* put(second, yield* keyOf(prompt), 1, "a")
      assert.deepStrictEqual(
        yield* compared(first, second, { filter: ({ prompt }) => prompt !== "q" }),
        ["onlyFirst p 0", "onlySecond r 1"]
      )
    }))

  it.effect("reports a damaged sample of either store, and goes on", () =>
    Effect.gen(function*() {
      const place = yield* makeDirectory
      const damaged = yield* DirectoryStore.make(place)
      const whole = yield* MemoryStore.make
      const key = yield* keyOf("p")
      yield* damaged.prepare(key)
      for (const position of [0, 1, 2]) {
        yield* put(damaged, key, position, "a")
        yield* put(whole, key, position, "a")
      }
      Fs.writeFileSync(Path.join(damaged.describe(key), "1.md"), "changed")
      const expected = ["damaged", "same p 0", "same p 2"]
      assert.deepStrictEqual(yield* compared(damaged, whole), expected)
      assert.deepStrictEqual(yield* compared(whole, damaged), expected)
    }))
})
