import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import type { Key } from "../Key.ts"
import type { Drawn, Entry } from "../Sample.ts"
import { SampleConflict, type StoreError } from "../SampleError.ts"
import type { MergeOptions, Moved, Store, VerifyOptions } from "../SampleStore.ts"

/** How many samples of a key are read at a time, and how many samples or keys are worked on at once. */
const [atATime, atOnce] = [256, 16]

/**
 * Reads every sample of a store, a key's in order and some at a time, and goes on where one cannot be read if
 * `onDamaged` does. Returns how many keys and samples there are.
 */
export const sweep = <E1, E2>(
  store: Store,
  { filter = () => true, onProgress = () => Effect.void }: VerifyOptions,
  onDamaged: (error: StoreError) => Effect.Effect<void, E1>,
  visit: (
    key: Key,
    samples: Stream.Stream<Arr.NonEmptyReadonlyArray<Entry>, StoreError | E1>
  ) => Effect.Effect<void, E2>
) =>
  Effect.gen(function*() {
    const listed = store.keys.pipe(
      Stream.filter((element) => Result.isFailure(element) || filter(element.success.key))
    )
    const total = yield* Stream.runFold(
      listed,
      () => ({ keys: 0, samples: 0 }),
      (sum, element) =>
        Result.isFailure(element) ? sum : { keys: sum.keys + 1, samples: sum.samples + element.success.samples }
    )
    const start = yield* Clock.currentTimeMillis
    let done = 0
    const progress = (some: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        done += some
        return onProgress({ done, total: Math.max(done, total.samples), rate: done * 1000 / Math.max(1, now - start) })
      })
    const readOne = (key: Key, position: number): Effect.Effect<Entry | undefined, StoreError | E1> =>
      Effect.matchEffect(store.get(key, position), {
        onSuccess: (drawn) => Effect.succeed(drawn && { position, drawn }),
        onFailure: (error): Effect.Effect<undefined, StoreError | E1> =>
          error.kind === "Damaged" ? Effect.as(onDamaged(error), undefined) : Effect.fail(error)
      })
    const read = (key: Key, positions: ReadonlyArray<number>) =>
      Effect.map(
        Effect.forEach(positions, (position) => readOne(key, position), { concurrency: atOnce }),
        (entries) => entries.filter((entry) => entry !== undefined)
      )
    const entriesOf = (key: Key) =>
      Stream.fromIterableEffect(Effect.map(store.positions(key), Arr.chunksOf(atATime))).pipe(
        Stream.mapEffect((positions) => Effect.tap(read(key, positions), progress(positions.length))),
        Stream.filter(Arr.isArrayNonEmpty)
      )
    yield* listed.pipe(
      Stream.mapEffect(
        (element): Effect.Effect<void, StoreError | E1 | E2> =>
          Result.isFailure(element)
            ? onDamaged(element.failure)
            : visit(element.success.key, entriesOf(element.success.key)),
        { concurrency: atOnce }
      ),
      Stream.runDrain
    )
    return total
  })

/** Puts the samples of one store into another, each at its position. */
export const transfer = Effect.fnUntraced(function*(
  from: Store,
  to: Store,
  options: MergeOptions = {}
): Effect.fn.Return<Moved, StoreError | SampleConflict> {
  const { damaged: ifDamaged = "fail", ifDifferent = "fail" } = options
  const damaged: Array<StoreError> = []
  const moved = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0 }

  const place = (key: Key, entries: Arr.NonEmptyReadonlyArray<Entry>, held: Set<number>, differing: Array<Entry>) =>
    Effect.gen(function*(): Effect.fn.Return<void, StoreError | SampleConflict> {
      const isHeld = ({ position }: Entry) => held.has(position)
      const taken = entries.filter(isHeld)
      const fresh = entries.filter((entry) => !isHeld(entry))
      if (Arr.isReadonlyArrayNonEmpty(fresh)) {
        const positions = yield* to.put(key, fresh, "drop")
        for (const { position } of fresh) held.add(position)
        const lost = fresh.filter((_, i) => positions[i] === undefined)
        moved.copied += fresh.length - lost.length
        // Another writer was first.
        taken.push(...lost)
      }
      const own = yield* Effect.forEach(taken, ({ position }) => ours(key, position), { concurrency: atOnce })
      for (const [i, entry] of taken.entries()) {
        const sample = own[i]
        if (sample === "damaged") moved.kept++
        else if (sample !== undefined && isSame(sample, entry.drawn)) moved.present++
        else if (ifDifferent === "ours") moved.kept++
        else if (ifDifferent === "fail" && sample !== undefined) {
          const [ours, theirs] = [sample.text, entry.drawn.text]
          return yield* new SampleConflict({ key, position: entry.position, ours, theirs, from: from.id, to: to.id })
        } else differing.push(entry)
      }
    })

  // A damaged sample can be replaced, or passed over.
  const ours = (key: Key, position: number): Effect.Effect<Drawn | "damaged" | undefined, StoreError> =>
    Effect.catchIf(
      to.get(key, position),
      (error) => error.kind === "Damaged" && (ifDifferent === "theirs" || ifDamaged === "skip"),
      (error): Effect.Effect<"damaged" | undefined> =>
        Effect.sync(() => {
          if (ifDifferent === "theirs") return undefined
          damaged.push(error)
          return "damaged"
        })
    )

  // Behind all others, so that none of them finds its position taken by one that was appended.
  const mend = (key: Key, entries: Arr.NonEmptyReadonlyArray<Entry>, held: ReadonlySet<number>) =>
    Effect.gen(function*() {
      if (ifDifferent === "append") {
        const named = Arr.map(entries, (entry): Entry => ({ ...entry, id: idOf(from, key, entry) }))
        const positions = yield* to.put(key, named, "append")
        for (const at of positions) {
          if (at !== undefined && held.has(at)) moved.present++
          else moved.appended++
        }
        return
      }
      for (const entry of entries) {
        yield* to.remove(key, [entry.position])
        const [at] = yield* to.put(key, [entry], "drop")
        if (at === undefined) moved.kept++
        else moved.replaced++
      }
    })

  yield* sweep(
    from,
    options,
    (error) => ifDamaged === "fail" ? Effect.fail(error) : Effect.sync(() => void damaged.push(error)),
    (key, samples) =>
      Effect.gen(function*() {
        yield* to.prepare(key)
        const held = new Set(yield* to.positions(key))
        const differing: Array<Entry> = []
        yield* Stream.runForEach(samples, (entries) => place(key, entries, held, differing))
        for (const entries of Arr.chunksOf(differing, atATime)) yield* mend(key, entries, held)
      })
  )
  return { ...moved, damaged }
})

// Two samples that were bought at different times are different ones, also where their texts are the same.
const isSame = (one: Drawn, other: Drawn): boolean =>
  one.text === other.text && (one.metadata.createdAt ?? other.metadata.createdAt) ===
    (other.metadata.createdAt ?? one.metadata.createdAt)

// Names a sample by what it is, so that it is appended once however often the stores are merged; and where what is known
// of it does not tell it from another one, by where it is.
const idOf = (store: Store, { identity, path, prompt }: Key, { drawn: { metadata, text }, position }: Entry): string =>
  Crypto.hash(
    "sha256",
    JSON.stringify([
      metadata.createdAt === undefined ? store.id : "",
      identity.id,
      prompt,
      path,
      position,
      text,
      metadata.createdAt
    ]),
    "hex"
  )
