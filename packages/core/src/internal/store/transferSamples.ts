import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import type { Key } from "../../Key.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import { SampleConflict, type StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import type { MergeOptions, TransferResult, VerifyOptions } from "../../Transfer.ts"
import { readAll } from "./readAll.ts"
import { sampleName } from "./sampleName.ts"

/** How many samples of a key are read at a time, and how many samples or keys are worked on at once. */
const [atATime, atOnce] = [256, 16]

/**
 * Reads every sample of a store, a key's in order and some at a time, and goes on where one cannot be read if
 * `onDamaged` does. Returns how many keys and samples there are.
 */
export const readSamples = <E1, E2>(
  store: Store,
  { filter = () => true, onProgress = () => Effect.void }: VerifyOptions,
  onDamaged: (error: StoreError) => Effect.Effect<void, E1>,
  visit: (
    key: Key,
    samples: Stream.Stream<Arr.NonEmptyReadonlyArray<Entry>, StoreError | E1>
  ) => Effect.Effect<void, E2>
) =>
  Effect.gen(function*() {
    const listed = store.keys().pipe(
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
    const entriesOf = (key: Key) =>
      Stream.fromIterableEffect(Effect.map(store.positions(key), Arr.chunksOf(atATime))).pipe(
        Stream.mapEffect((positions) =>
          Effect.tap(readAll(store, key, positions, onDamaged), progress(positions.length))
        ),
        Stream.filter(Arr.isReadonlyArrayNonEmpty)
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
export const transferSamples = Effect.fnUntraced(function*(
  from: Store,
  to: Store,
  options: MergeOptions = {}
): Effect.fn.Return<TransferResult, StoreError | SampleConflict> {
  const { damaged: ifDamaged = "fail", ifDifferent = "fail" } = options
  const damaged: Array<StoreError> = []
  const moved = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0 }

  const place = (target: Target, entries: Arr.NonEmptyReadonlyArray<Entry>) =>
    Effect.gen(function*(): Effect.fn.Return<void, StoreError | SampleConflict> {
      const { differing, held, key } = target
      const isHeld = ({ position }: Entry) => held.has(position)
      const taken = entries.filter(isHeld)
      const fresh = yield* elsewhere(target, entries.filter((entry) => !isHeld(entry)))
      if (Arr.isReadonlyArrayNonEmpty(fresh)) {
        const positions = yield* to.put(key, fresh, "drop")
        for (const { position } of fresh) held.add(position)
        const lost: Array<Entry> = []
        for (const [i, entry] of fresh.entries()) {
          if (positions[i] === undefined) lost.push(entry)
          else if (ifDifferent === "append") note(target.marks, entry)
        }
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

  // The samples that `to` does not have at another position, where that is looked at. Its own are read when the first is
  // asked for.
  const elsewhere = (target: Target, entries: ReadonlyArray<Entry>) =>
    Effect.gen(function*(): Effect.fn.Return<ReadonlyArray<Entry>, StoreError> {
      if (ifDifferent !== "append" || !entries.some(({ drawn }) => sampleName(drawn) !== undefined)) return entries
      const marks = yield* marksOf(target)
      const seen = new Set<string>()
      const missing = entries.filter(({ drawn }) => {
        const mark = markOf(drawn)
        if (sampleName(drawn) === undefined) return true
        return !marks.has(mark) && seen.size < seen.add(mark).size
      })
      moved.present += entries.length - missing.length
      return missing
    })

  const marksOf = (target: Target): Effect.Effect<Marks, StoreError> =>
    target.marks !== undefined ? Effect.succeed(target.marks) : Effect.map(
      readAll(to, target.key, [...target.held].sort((a, b) => a - b), () => Effect.void),
      (entries) => {
        const marks: Marks = target.marks = new Map()
        for (const entry of entries) note(marks, entry)
        return marks
      }
    )

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
  const mend = (target: Target) => ifDifferent === "append" ? append(target) : replace(target)

  const append = (target: Target) =>
    Effect.gen(function*(): Effect.fn.Return<void, StoreError> {
      const { differing, held, key } = target
      // The first position that may be free: what is appended goes on from there.
      let free = 0
      for (const entries of Arr.chunksOf(differing, atATime)) {
        const marks = yield* marksOf(target)
        const placed = (yield* elsewhere(target, entries)).map((entry): Entry => {
          const { drawn } = entry
          const id = idOf(from, key, entry)
          // One that has no name is found by its id, on the way from where it may be already.
          const at = sampleName(drawn) === undefined &&
            marks.get(markOf(drawn))?.find((position) => position >= entry.position)
          if (typeof at === "number") return { drawn, id, position: at }
          for (free = Math.max(free, entry.position); held.has(free);) free++
          return { drawn, id, position: free++ }
        })
        if (!Arr.isReadonlyArrayNonEmpty(placed)) continue
        const positions = yield* to.put(key, placed, "append")
        for (const [i, at] of positions.entries()) {
          if (at === undefined) continue
          if (held.has(at)) moved.present++
          else moved.appended++
          held.add(at)
          note(marks, { position: at, drawn: placed[i]!.drawn })
        }
      }
    })

  // Where that fails, the sample that was there is put back, as far as the store lets it.
  const replace = ({ differing, key }: Target) =>
    Effect.forEach(differing, (entry) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const { position } = entry
        const own = yield* ours(key, position)
        const [at] = yield* Effect.onError(
          Effect.andThen(to.remove(key, [position]), to.put(key, [entry], "drop")),
          () => typeof own === "object" ? Effect.exit(to.put(key, [{ position, drawn: own }], "drop")) : Effect.void
        )
        if (at === undefined) moved.kept++
        else moved.replaced++
      })), { discard: true })

  yield* readSamples(
    from,
    options,
    (error) => ifDamaged === "fail" ? Effect.fail(error) : Effect.sync(() => void damaged.push(error)),
    (key, samples) =>
      Effect.gen(function*() {
        yield* to.prepare(key)
        const held = new Set(yield* to.positions(key))
        const target: Target = { key, held, differing: [], marks: held.size === 0 ? new Map() : undefined }
        yield* Stream.runForEach(samples, (entries) => place(target, entries))
        yield* mend(target)
      })
  )
  return { ...moved, damaged }
})

/** What is known of the place where the samples of a key go. */
interface Target {
  readonly key: Key
  /** The positions that have a sample, as far as is known. */
  readonly held: Set<number>
  /** The samples that differ from what has their position. */
  readonly differing: Array<Entry>
  /** The samples that it has, at whatever position. */
  marks: Marks | undefined
}

/** Where samples are, by their marks, in ascending order. */
type Marks = Map<string, Array<number>>

const note = (marks: Marks | undefined, { drawn, position }: Entry): void => {
  const mark = markOf(drawn)
  const positions = marks?.get(mark)
  if (positions === undefined) marks?.set(mark, [position])
  else if (positions.at(-1)! < position) positions.push(position)
}

// The name and the text: a model may have changed the text of a sample that it handed on.
const markOf = (drawn: Drawn): string => `${sampleName(drawn) ?? ""}\n${drawn.text}`

// Where it is not known which samples they are, two that were bought at different times are different ones, also where
// their texts are the same.
const isSame = (one: Drawn, other: Drawn): boolean =>
  sampleName(one) !== undefined && sampleName(other) !== undefined
    ? markOf(one) === markOf(other)
    : one.text === other.text && (one.metadata.createdAt ?? other.metadata.createdAt) ===
        (other.metadata.createdAt ?? one.metadata.createdAt)

// Names a sample by what it is, so that it is appended once however often the stores are merged; and where what is known
// of it does not tell it from another one, by where it is.
const idOf = (store: Store, { identity, path, prompt }: Key, { drawn, position }: Entry): string => {
  const { createdAt } = drawn.metadata
  const what = sampleName(drawn) !== undefined ? [] : [createdAt === undefined ? store.id : "", position, createdAt]
  return Crypto.hash("sha256", JSON.stringify([identity.id, prompt, path, markOf(drawn), ...what]), "hex")
}
