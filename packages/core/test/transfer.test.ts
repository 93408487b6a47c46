import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Identity, Key, MemoryStore, type Sample, SampleStore, Transfer } from "@llm-cache/core"
import { Effect, Exit, Fiber, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory } from "./support/directory.ts"

const keyOf = (prompt: string, options?: Partial<Identity.Options>, path: ReadonlyArray<string> = []) =>
  Effect.map(
    Identity.make({ model: "m", temperature: 1, ...options }),
    (identity) => new Key.Key(identity, prompt, path)
  )

const put = (
  store: SampleStore.Store,
  key: Key.Key,
  texts: Readonly<Record<number, string>>,
  metadata: Sample.Metadata = {}
) =>
  Effect.forEach(
    Object.entries(texts),
    ([position, text]) =>
      store.put(key, [{ position: Number(position), drawn: { text, metadata, origins: [] } }], "drop"),
    { discard: true }
  )

const textsOf = (store: SampleStore.Store, key: Key.Key) =>
  Effect.flatMap(store.positions(key), (positions) =>
    Effect.map(
      Effect.forEach(positions, (position) => store.get(key, position)),
      (found) => Object.fromEntries(found.map((drawn, i) => [positions[i]!, drawn!.text]))
    ))

const nothing = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0, damaged: [] }

/** A store that can no longer be written after some puts. */
const failingAfter = (store: SampleStore.Store, puts: number): SampleStore.Store => {
  let done = 0
  return {
    ...store,
    put: (...args) => done++ < puts ? store.put(...args) : Effect.die("stopped")
  }
}

describe("Transfer.copy", () => {
  it.effect("copies every identity, prompt, fork and gap", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
      const keys = yield* Effect.all([
        keyOf("p"),
        keyOf("p", { temperature: 0 }),
        keyOf("p", { parameters: { top_p: 0.5 } }),
        keyOf("q"),
        keyOf("p", {}, ["a"]),
        keyOf("p", {}, ["a", "b"])
      ])
      for (const [i, key] of keys.entries()) yield* put(from, key, { 0: `${i}`, 3: `${i} too` }, { createdAt: i })
      assert.deepStrictEqual(yield* Transfer.copy(from, to), { ...nothing, copied: 12 })
      for (const [i, key] of keys.entries()) {
        assert.deepStrictEqual(yield* textsOf(to, key), { 0: `${i}`, 3: `${i} too` })
        assert.deepStrictEqual((yield* to.get(key, 3))?.metadata, { createdAt: i })
      }
    }))

  it.effect("copies only the keys that pass the filter", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
      const [p, q] = yield* Effect.all([keyOf("p"), keyOf("q")])
      yield* put(from, p, { 0: "a" })
      yield* put(from, q, { 0: "b" })
      assert.deepStrictEqual(yield* Transfer.copy(from, to, { filter: ({ prompt }) => prompt === "q" }), {
        ...nothing,
        copied: 1
      })
      assert.deepStrictEqual([yield* textsOf(to, p), yield* textsOf(to, q)], [{}, { 0: "b" }])
    }))

  it.effect("continues after an interruption", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
      const keys = yield* Effect.forEach(Array.from({ length: 40 }, (_, i) => `p${i}`), (prompt) => keyOf(prompt))
      for (const key of keys) yield* put(from, key, { 0: key.prompt, 1: `${key.prompt} too` })
      yield* Effect.exit(Transfer.copy(from, failingAfter(to, 25)))
      assert.deepStrictEqual(yield* Transfer.copy(from, to), { ...nothing, present: 50, copied: 30 })
      for (const key of keys) assert.deepStrictEqual(yield* textsOf(to, key), yield* textsOf(from, key))
    }))

  it.effect("reports its progress", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([MemoryStore.make, MemoryStore.make])
      const [p, q] = yield* Effect.all([keyOf("p"), keyOf("q")])
      yield* put(from, p, Object.fromEntries(Array.from({ length: 600 }, (_, i) => [i, `${i}`])))
      yield* put(from, q, { 0: "a" })
      const seen: Array<Transfer.Progress> = []
      yield* Transfer.copy(from, to, { onProgress: (progress) => Effect.sync(() => void seen.push(progress)) })
      assert.isAtLeast(seen.length, 4)
      assert.deepStrictEqual(seen.map(({ total }) => total), seen.map(() => 601))
      assert.strictEqual(seen.at(-1)!.done, 601)
      for (const [i, { done, rate }] of seen.entries()) {
        assert.isAbove(done, seen[i - 1]?.done ?? 0)
        assert.isAbove(rate, 0)
      }
    }))

  it.effect("fails on damaged entries, or skips and reports them", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const [from, to] = yield* Effect.all([DirectoryStore.make(root), MemoryStore.make])
      const key = yield* keyOf("p")
      yield* put(from, key, { 0: "a", 1: "b", 2: "c" })
      Fs.writeFileSync(Path.join(from.describe(key), "1.md"), "x")
      const error = yield* Effect.flip(Transfer.copy(from, to))
      assert.deepInclude(error, { _tag: "StoreError", kind: "Damaged", position: 1 })
      const { damaged, ...moved } = yield* Transfer.copy(from, to, { damaged: "skip" })
      assert.deepStrictEqual(yield* textsOf(to, key), { 0: "a", 2: "c" })
      assert.deepStrictEqual(moved.copied + moved.present, 2)
      assert.deepStrictEqual(damaged.map(({ position }) => position), [1])
    }))

  it.effect("names the folders of an original cache with unknown prompts", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const [from, to] = yield* Effect.all([DirectoryStore.make(root), MemoryStore.make])
      const key = yield* keyOf("p", { temperature: 0.5, model: "vendor/m" })
      const folder = Path.join(root, "vendor", "m_0.5", key.promptHash)
      Fs.mkdirSync(folder, { recursive: true })
      Fs.writeFileSync(Path.join(folder, "0.md"), "a")
      const error = yield* Effect.flip(Transfer.copy(from, to))
      assert.include(error.message, `${folder} has no prompt.txt`)
      Fs.writeFileSync(Path.join(folder, "prompt.txt"), "another prompt")
      assert.include((yield* Effect.flip(Transfer.copy(from, to))).message, "is not the folder of the prompt")
      Fs.writeFileSync(Path.join(folder, "prompt.txt"), "p")
      assert.deepStrictEqual(yield* Transfer.copy(from, to), { ...nothing, copied: 1 })
      assert.deepStrictEqual(yield* textsOf(to, key), { 0: "a" })
    }))

  it.effect("fails on a folder without a known model", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const from = yield* DirectoryStore.make(root)
      const key = yield* keyOf("p", { parameters: { top_p: 0.5 } })
      yield* put(from, key, { 0: "a" })
      const file = Path.join(from.describe(key), "..", "identity.json")
      const content = Fs.readFileSync(file, "utf8")
      for (const spoilt of ["{", content.replace("0.5", "0.25")]) {
        Fs.writeFileSync(file, spoilt)
        const { damaged, keys } = yield* Transfer.verify(from)
        assert.strictEqual(keys, 0)
        assert.include(damaged[0]!.message, "does not say which model it is for")
      }
    }))
})

describe("Transfer.merge", () => {
  const merged = Effect.fnUntraced(function*(
    ours: Readonly<Record<number, string>>,
    theirs: Readonly<Record<number, string>>,
    ifDifferent: Transfer.MergeOptions["ifDifferent"]
  ) {
    const [from, to, key] = yield* Effect.all([MemoryStore.make, MemoryStore.make, keyOf("p")])
    yield* put(to, key, ours)
    yield* put(from, key, theirs)
    const moved = yield* Transfer.merge(from, to, { ifDifferent })
    return { moved, texts: yield* textsOf(to, key), from, to, key }
  })

  it.effect("needs no policy for equal samples", () =>
    Effect.gen(function*() {
      const { moved, texts } = yield* merged({ 0: "a", 2: "c" }, { 0: "a", 1: "b" }, undefined)
      assert.deepStrictEqual(texts, { 0: "a", 1: "b", 2: "c" })
      assert.deepStrictEqual(moved, { ...nothing, copied: 1, present: 1 })
    }))

  it.effect("fails on different samples, with the key, the position and both texts", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(merged({ 0: "a", 1: "ours" }, { 0: "a", 1: "theirs" }, "fail"))
      assert.deepInclude(error, { _tag: "SampleConflict", position: 1, ours: "ours", theirs: "theirs" })
      const key = yield* keyOf("p")
      const json = JSON.parse(JSON.stringify(error))
      assert.deepStrictEqual([json.ours, json.theirs, json.key.promptHash], ["ours", "theirs", key.promptHash])
      const long = yield* Effect.flip(merged({ 0: `${"x".repeat(999)}1` }, { 0: `${"x".repeat(999)}2` }, "fail"))
      assert.strictEqual(JSON.parse(JSON.stringify(long)).theirs, `…"${"x".repeat(20)}2"`)
      for (const part of ["position 1", key.promptHash, "m, temperature 1", `"ours"`, `"theirs"`, "ifDifferent"]) {
        assert.include(error.message, part)
      }
    }))

  it.effect("keeps our samples with ifDifferent: ours", () =>
    Effect.gen(function*() {
      const { moved, texts } = yield* merged({ 0: "a" }, { 0: "b", 1: "c" }, "ours")
      assert.deepStrictEqual([texts, moved], [{ 0: "a", 1: "c" }, { ...nothing, kept: 1, copied: 1 }])
    }))

  it.effect("takes their samples with ifDifferent: theirs", () =>
    Effect.gen(function*() {
      const { moved, texts } = yield* merged({ 0: "a", 5: "e" }, { 0: "b", 1: "c" }, "theirs")
      assert.deepStrictEqual([texts, moved], [{ 0: "b", 1: "c", 5: "e" }, { ...nothing, replaced: 1, copied: 1 }])
    }))

  it.effect("appends their different samples in order, and once", () =>
    Effect.gen(function*() {
      const { from, key, moved, texts, to } = yield* merged(
        { 0: "a", 1: "b" },
        { 0: "x", 1: "y", 2: "z", 3: "a" },
        "append"
      )
      const expected = { 0: "a", 1: "b", 2: "z", 3: "a", 4: "x", 5: "y" }
      assert.deepStrictEqual([texts, moved], [expected, { ...nothing, appended: 2, copied: 2 }])
      assert.deepStrictEqual(yield* Transfer.merge(from, to, { ifDifferent: "append" }), { ...nothing, present: 4 })
      assert.deepStrictEqual(yield* textsOf(to, key), expected)
      // The same sample of another store is another sample, unless both are known to be one.
      const other = yield* MemoryStore.make
      yield* put(other, key, { 0: "x" })
      yield* Transfer.merge(other, to, { ifDifferent: "append" })
      assert.deepStrictEqual(yield* textsOf(to, key), { ...expected, 6: "x" })
    }))

  it.effect("appends equal samples once, wherever they come from", () =>
    Effect.gen(function*() {
      const [one, other, to, key] = yield* Effect.all([
        MemoryStore.make,
        MemoryStore.make,
        MemoryStore.make,
        keyOf("p")
      ])
      yield* put(to, key, { 0: "a" }, { createdAt: 1 })
      for (const from of [one, other]) {
        yield* put(from, key, { 0: "b" }, { createdAt: 2 })
        yield* Transfer.merge(from, to, { ifDifferent: "append" })
      }
      assert.deepStrictEqual(yield* textsOf(to, key), { 0: "a", 1: "b" })
    }))

  describe("with samples of known requests", () => {
    const named = (request: string, index: number, text = `${request} ${index}`): Sample.Drawn => ({
      text,
      metadata: { request, index, createdAt: 1 },
      origins: []
    })
    const putAll = (store: SampleStore.Store, key: Key.Key, from: number, ...drawn: ReadonlyArray<Sample.Drawn>) =>
      store.put(key, drawn.map((drawn, i) => ({ position: from + i, drawn })) as [Sample.Entry, Sample.Entry], "drop")
    const three = Effect.all([MemoryStore.make, MemoryStore.make, MemoryStore.make])
    const append = (from: SampleStore.Store, to: SampleStore.Store) =>
      Transfer.merge(from, to, { ifDifferent: "append" })

    it.effect("leaves each sample once, both ways and through a third store", () =>
      Effect.gen(function*() {
        const [[a, b, c], key] = yield* Effect.all([three, keyOf("p")])
        yield* putAll(a, key, 0, named("a", 0), named("a", 1), named("a", 2))
        yield* putAll(b, key, 0, named("b", 0), named("b", 1))
        yield* putAll(b, key, 6, named("b", 2))
        assert.deepStrictEqual(yield* append(a, b), { ...nothing, copied: 1, appended: 2 })
        assert.deepStrictEqual(yield* textsOf(b, key), {
          0: "b 0",
          1: "b 1",
          2: "a 2",
          3: "a 0",
          4: "a 1",
          6: "b 2"
        })
        assert.deepStrictEqual(yield* append(b, a), { ...nothing, present: 3, copied: 1, appended: 2 })
        yield* append(a, c)
        for (const [from, to] of [[a, b], [b, a], [c, a], [c, b], [a, c], [b, c]] as const) {
          assert.deepStrictEqual(yield* append(from, to), { ...nothing, present: 6 })
        }
        for (const store of [a, b, c]) {
          const texts = Object.values(yield* textsOf(store, key))
          assert.deepStrictEqual(texts.toSorted(), ["a 0", "a 1", "a 2", "b 0", "b 1", "b 2"])
        }
      }))

    it.effect("treats samples of one request and index as equal, unless their texts differ", () =>
      Effect.gen(function*() {
        const [[a, b], key] = yield* Effect.all([three, keyOf("p")])
        yield* putAll(a, key, 0, named("r", 0, "x"), named("r", 1, "y"))
        yield* putAll(b, key, 0, { ...named("r", 0, "x"), metadata: { request: "r", index: 0, createdAt: 2 } })
        yield* putAll(b, key, 1, named("r", 1, "Y"))
        assert.deepInclude(yield* Effect.flip(Transfer.copy(a, b)), { _tag: "SampleConflict", position: 1 })
        assert.deepStrictEqual(yield* append(a, b), { ...nothing, present: 1, appended: 1 })
        assert.deepStrictEqual(yield* textsOf(b, key), { 0: "x", 1: "Y", 2: "y" })
      }))

    it.effect("distinguishes two samples with the same text", () =>
      Effect.gen(function*() {
        const [[a, b], key] = yield* Effect.all([three, keyOf("p")])
        yield* putAll(a, key, 0, named("r", 0, "x"), named("r", 1, "x"))
        yield* putAll(b, key, 0, named("s", 0, "x"))
        for (let i = 0; i < 2; i++) yield* append(a, b)
        assert.deepStrictEqual(yield* textsOf(b, key), { 0: "x", 1: "x", 2: "x" })
      }))

    it.effect("copies a sample once that is stored twice", () =>
      Effect.gen(function*() {
        const [[a, b], key] = yield* Effect.all([three, keyOf("p")])
        yield* putAll(a, key, 0, named("r", 0), named("r", 0), named("r", 0))
        yield* putAll(b, key, 0, named("s", 0))
        assert.deepStrictEqual(yield* append(a, b), { ...nothing, copied: 1, present: 2 })
        assert.deepStrictEqual(yield* textsOf(b, key), { 0: "s 0", 1: "r 0" })
      }))

    it.effect("loses no sample to another writer", () =>
      Effect.gen(function*() {
        const [[a, b], key] = yield* Effect.all([three, keyOf("p")])
        yield* putAll(a, key, 0, named("a", 0), named("a", 1))
        const racing: SampleStore.Store = {
          ...b,
          put: (key, entries, ifTaken) =>
            ifTaken === "append" ? b.put(key, entries, ifTaken) : Effect.andThen(
              putAll(b, key, 1, named("b", 0)),
              b.put(key, entries, ifTaken)
            )
        }
        yield* append(a, racing)
        assert.deepStrictEqual(yield* textsOf(b, key), { 0: "a 0", 1: "b 0", 2: "a 1" })
      }))
  })

  it.effect("treats equal texts of requests at different times as different", () =>
    Effect.gen(function*() {
      const [from, to, key] = yield* Effect.all([MemoryStore.make, MemoryStore.make, keyOf("p")])
      yield* put(to, key, { 0: "42" }, { createdAt: 1 })
      yield* put(from, key, { 0: "42" }, { createdAt: 2 })
      yield* Transfer.merge(from, to, { ifDifferent: "append" })
      assert.deepStrictEqual(yield* textsOf(to, key), { 0: "42", 1: "42" })
    }))

  it.effect.each(["put", "remove"] as const)(
    "keeps our sample if taking theirs fails halfway, and finishes in the next run: %s",
    (operation) =>
      Effect.gen(function*() {
        const [from, to, key] = yield* Effect.all([MemoryStore.make, MemoryStore.make, keyOf("p")])
        yield* put(to, key, { 0: "a", 1: "b", 2: "c" }, { request: "ours", index: 7, createdAt: 1 })
        yield* put(from, key, { 0: "x", 1: "y", 2: "z" })
        const ours = yield* to.getMany(key, 0, 3)
        // Fails when the second sample is to be replaced: before it is put, or as a connection does that breaks before
        // the answer comes.
        let done = 0
        const failing: SampleStore.Store = {
          ...to,
          remove: (...args) =>
            operation === "remove" && ++done === 2
              ? Effect.andThen(to.remove(...args), Effect.die("broken"))
              : to.remove(...args),
          put: (...args) => operation === "put" && ++done === 2 ? Effect.die("broken") : to.put(...args)
        }
        const merge = Transfer.merge(from, failing, { ifDifferent: "theirs" })
        assert.isTrue(Exit.hasDies(yield* Effect.exit(merge)))
        assert.deepStrictEqual(yield* textsOf(to, key), { 0: "x", 1: "b", 2: "c" })
        assert.deepStrictEqual(yield* to.get(key, 1), ours[1])
        assert.deepStrictEqual(yield* merge, { ...nothing, present: 1, replaced: 2 })
        assert.deepStrictEqual(yield* textsOf(to, key), { 0: "x", 1: "y", 2: "z" })
      })
  )

  it.effect("leaves one of the two samples at the position if it is interrupted", () =>
    Effect.gen(function*() {
      for (let turns = 0; turns < 8; turns++) {
        const [from, to, key] = yield* Effect.all([MemoryStore.make, MemoryStore.make, keyOf("p")])
        yield* put(to, key, { 0: "a" })
        yield* put(from, key, { 0: "x" })
        // A `remove` that the store finishes although its caller was interrupted, as a server does.
        const slow: SampleStore.Store = {
          ...to,
          remove: (...args) =>
            Effect.andThen(Effect.yieldNow, to.remove(...args)).pipe(
              Effect.forkDetach({ startImmediately: true }),
              Effect.flatMap(Fiber.join)
            )
        }
        const merge = yield* Effect.forkChild(Transfer.merge(from, slow, { ifDifferent: "theirs" }), {
          startImmediately: true
        })
        for (let i = 0; i < turns; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(merge)
        yield* Effect.replicateEffect(Effect.yieldNow, 5)
        assert.include(["a", "x"], (yield* textsOf(to, key))[0])
      }
    }))

  it.effect("finishes in the next run if the store took neither sample", () =>
    Effect.gen(function*() {
      const [from, to, key] = yield* Effect.all([MemoryStore.make, MemoryStore.make, keyOf("p")])
      yield* put(to, key, { 0: "a", 1: "b" })
      yield* put(from, key, { 0: "x", 1: "y" })
      const merge = (to: SampleStore.Store) => Transfer.merge(from, to, { ifDifferent: "theirs" })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(merge(failingAfter(to, 0)))))
      assert.deepStrictEqual(yield* merge(to), { ...nothing, copied: 1, replaced: 1 })
      assert.deepStrictEqual(yield* textsOf(to, key), { 0: "x", 1: "y" })
    }))

  it.effect("replaces damaged samples by theirs", () =>
    Effect.gen(function*() {
      const [from, to] = yield* Effect.all([MemoryStore.make, Effect.flatMap(makeDirectory, DirectoryStore.make)])
      const key = yield* keyOf("p")
      yield* put(from, key, { 0: "a" })
      yield* put(to, key, { 0: "a" })
      Fs.writeFileSync(Path.join(to.describe(key), "0.md"), "spoilt")
      const error = yield* Effect.flip(Transfer.merge(from, to, { ifDifferent: "ours" }))
      assert.deepInclude(error, { _tag: "StoreError", kind: "Damaged" })
      yield* Transfer.merge(from, to, { ifDifferent: "theirs" })
      assert.deepStrictEqual(yield* textsOf(to, key), { 0: "a" })
    }))

  it.effect.prop("loses no sample when it appends, and moves none of ours", {
    ours: Schema.Array(Schema.Literals(["a", "b", "c"])),
    theirs: Schema.Array(Schema.Literals(["a", "b", "c"]))
  }, ({ ours, theirs }) =>
    Effect.gen(function*() {
      const { from, key, texts, to } = yield* merged(Object.assign({}, ours), Object.assign({}, theirs), "append")
      const merge1 = Object.values(texts)
      assert.deepStrictEqual(merge1.slice(0, ours.length), [...ours])
      const differing = theirs.filter((text, i) => i < ours.length && ours[i] !== text)
      assert.deepStrictEqual(merge1.slice(ours.length), [...theirs.slice(ours.length), ...differing])
      yield* Transfer.merge(from, to, { ifDifferent: "append" })
      assert.deepStrictEqual(yield* textsOf(to, key), texts)
    }))
})

it.effect("Transfer.verify counts the intact entries and names every damaged one", () =>
  Effect.gen(function*() {
    const store = yield* Effect.flatMap(makeDirectory, DirectoryStore.make)
    const [p, q] = yield* Effect.all([keyOf("p"), keyOf("q", {}, ["a/b", ".."])])
    yield* put(store, p, { 0: "a", 1: "b", 2: "c" })
    yield* put(store, q, { 0: "d", 7: "e" })
    assert.deepStrictEqual(yield* Transfer.verify(store), { keys: 2, samples: 5, damaged: [] })
    Fs.truncateSync(Path.join(store.describe(p), "1.md"))
    Fs.writeFileSync(Path.join(store.describe(q), "7.md"), "E")
    const { damaged, ...counts } = yield* Transfer.verify(store)
    assert.deepStrictEqual(counts, { keys: 2, samples: 5 })
    assert.sameDeepMembers(damaged.map(({ key, position }) => [key?.prompt, position]), [["p", 1], ["q", 7]])
  }))

describe("The keys of a directory store", () => {
  it.effect("skip an unreadable folder and follow links", () =>
    Effect.gen(function*() {
      const [root, elsewhere] = yield* Effect.all([makeDirectory, makeDirectory])
      const store = yield* DirectoryStore.make(root)
      const [p, q, r] = yield* Effect.all([keyOf("p"), keyOf("q"), keyOf("r")])
      for (const key of [p, q, r]) yield* put(store, key, { 0: key.prompt })
      Fs.rmSync(Path.join(store.describe(q), "prompt.txt"))
      Fs.mkdirSync(Path.join(store.describe(q), "prompt.txt"))
      Fs.renameSync(store.describe(r), Path.join(elsewhere, "moved"))
      Fs.symlinkSync(Path.join(elsewhere, "moved"), store.describe(r))
      const { damaged, keys, samples } = yield* Transfer.verify(store)
      assert.deepStrictEqual([keys, samples], [2, 2])
      assert.include(damaged[0]!.message, `${store.describe(q)} cannot be read`)
    }))

  it.live("include the samples of a killed process that were not yet put", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* DirectoryStore.make(root)
      const key = yield* keyOf("p")
      yield* put(store, key, { 0: "a" })
      const request = {
        id: "1",
        folder: Path.relative(root, store.describe(key)),
        entries: [1, 2].map((position) => ({ position, drawn: { text: `${position}`, metadata: {}, origins: [] } })),
        ifTaken: "append"
      }
      Fs.mkdirSync(Path.join(root, ".purchases"), { recursive: true })
      const file = Path.join(root, ".purchases", "elsewhere_1-_gone_0.json")
      Fs.writeFileSync(file, JSON.stringify(request))
      Fs.utimesSync(file, 1, 1)
      assert.deepStrictEqual(yield* Transfer.verify(store), { keys: 1, samples: 3, damaged: [] })
    }))

  it.effect("include every alias that a folder name can hold", () =>
    Effect.gen(function*() {
      const store = yield* Effect.flatMap(makeDirectory, DirectoryStore.make)
      const key = yield* keyOf("p", { model: ".purchases/x" })
      assert.strictEqual((yield* Effect.flip(put(store, key, { 0: "a" }))).kind, "InvalidName")
      for (const model of [".purchases", "a/.purchases/b", ".b/c"]) {
        yield* put(store, yield* keyOf("p", { model }), { 0: "a" })
      }
      assert.strictEqual((yield* Transfer.verify(store)).keys, 3)
    }))
})

it.effect("Transfer.merge skips damaged samples on both sides", () =>
  Effect.gen(function*() {
    const [from, to] = yield* Effect.all([MemoryStore.make, Effect.flatMap(makeDirectory, DirectoryStore.make)])
    const key = yield* keyOf("p")
    yield* put(from, key, { 0: "a", 1: "b" })
    yield* put(to, key, { 0: "a" })
    Fs.writeFileSync(Path.join(to.describe(key), "0.md"), "spoilt")
    const { damaged, ...moved } = yield* Transfer.merge(from, to, { ifDifferent: "ours", damaged: "skip" })
    assert.deepInclude(moved, { kept: 1, copied: 1 })
    assert.deepStrictEqual(damaged.map(({ position }) => position), [0])
  }))
