import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Key } from "../../Key.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import { SampleConflict, type StoreError } from "../../SampleError.ts"
import type { KeyFilter, Store } from "../../SampleStore.ts"
import type { MergeOptions, TransferResult, VerifyOptions } from "../../Transfer.ts"
import { progressSince } from "../progressSince.ts"
import { sha256 } from "../sha256.ts"
import { readAll } from "./readAll.ts"
import { contentOf, isSameSample } from "./sameSample.ts"
import { sampleName } from "./sampleName.ts"

/** How many samples of a key are read at a time. */
const chunk = 256

/** How many samples or keys are in progress at once. */
const concurrency = 16

/**
 * Reads every sample of a store, those of a key in order and some at a time. After a sample that cannot be read it
 * continues if `onDamaged` does. Returns how many keys and samples there are.
 */
export const readSamples = <E1, E2>(
  store: Store,
  { filter = () => true, leftovers, onProgress = () => Effect.void }: VerifyOptions & KeyFilter,
  onDamaged: (error: StoreError) => Effect.Effect<void, E1>,
  visit: (
    key: Key,
    samples: Stream.Stream<Arr.NonEmptyReadonlyArray<Entry>, StoreError | E1>
  ) => Effect.Effect<void, E2>
) =>
  Effect.gen(function*() {
    const listed = store.keys({ leftovers }).pipe(
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
        return onProgress(progressSince(start, now, done, Math.max(done, total.samples)))
      })
    const entriesOf = (key: Key) =>
      Stream.fromIterableEffect(Effect.map(store.positions(key), Arr.chunksOf(chunk))).pipe(
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
        { concurrency }
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
  const counts = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0 }

  const place = (target: Target, entries: Arr.NonEmptyReadonlyArray<Entry>) =>
    Effect.gen(function*(): Effect.fn.Return<void, StoreError | SampleConflict> {
      const { differing, held, key } = target
      const isHeld = ({ position }: Entry) => held.has(position)
      const taken = entries.filter(isHeld)
      const fresh = yield* withoutMoved(target, entries.filter((entry) => !isHeld(entry)))
      if (Arr.isReadonlyArrayNonEmpty(fresh)) {
        const positions = yield* to.put(key, fresh, "drop")
        for (const { position } of fresh) held.add(position)
        const lost: Array<Entry> = []
        for (const [i, entry] of fresh.entries()) {
          if (positions[i] === undefined) lost.push(entry)
          else if (ifDifferent === "append") addContent(target.contents, entry)
        }
        counts.copied += fresh.length - lost.length
        // Another writer was first.
        taken.push(...lost)
      }
      const own = yield* Effect.forEach(taken, ({ position }) => ownSample(key, position), { concurrency })
      for (const [i, entry] of taken.entries()) {
        const sample = own[i]
        if (sample === "damaged") counts.kept++
        else if (sample !== undefined && isSameSample(sample, entry.drawn)) counts.present++
        else if (ifDifferent === "ours") counts.kept++
        else if (ifDifferent === "fail" && sample !== undefined) {
          const [ours, theirs] = [sample.text, entry.drawn.text]
          return yield* new SampleConflict({ key, position: entry.position, ours, theirs, from: from.id, to: to.id })
        } else differing.push(entry)
      }
    })

  // With "append": the samples that `to` does not have at another position. Samples without a name are not looked up.
  const withoutMoved = (target: Target, entries: ReadonlyArray<Entry>) =>
    Effect.gen(function*(): Effect.fn.Return<ReadonlyArray<Entry>, StoreError> {
      if (ifDifferent !== "append" || !entries.some(({ drawn }) => sampleName(drawn) !== undefined)) return entries
      const contents = yield* contentsOf(target)
      const seen = new Set<string>()
      const missing = entries.filter(({ drawn }) => {
        const content = contentOf(drawn)
        if (sampleName(drawn) === undefined) return true
        return !contents.has(content) && seen.size < seen.add(content).size
      })
      counts.present += entries.length - missing.length
      return missing
    })

  const contentsOf = (target: Target): Effect.Effect<Contents, StoreError> =>
    target.contents !== undefined ? Effect.succeed(target.contents) : Effect.map(
      readAll(to, target.key, [...target.held].sort((a, b) => a - b), () => Effect.void),
      (entries) => {
        const contents: Contents = target.contents = new Map()
        for (const entry of entries) addContent(contents, entry)
        return contents
      }
    )

  // A damaged sample of `to` can be replaced, or skipped.
  const ownSample = (key: Key, position: number): Effect.Effect<Drawn | "damaged" | undefined, StoreError> =>
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

  const append = (target: Target) =>
    Effect.gen(function*(): Effect.fn.Return<void, StoreError> {
      const { differing, held, key } = target
      // The lowest position that may be free.
      let free = 0
      for (const entries of Arr.chunksOf(differing, chunk)) {
        const contents = yield* contentsOf(target)
        const placed = (yield* withoutMoved(target, entries)).map((entry): Entry => {
          const { drawn } = entry
          const id = idOf(from, key, entry)
          // A sample without a name may have been appended before: the store finds its id from this position on.
          const at = sampleName(drawn) === undefined &&
            contents.get(contentOf(drawn))?.find((position) => position >= entry.position)
          if (typeof at === "number") return { drawn, id, position: at }
          for (free = Math.max(free, entry.position); held.has(free);) free++
          return { drawn, id, position: free++ }
        })
        if (!Arr.isReadonlyArrayNonEmpty(placed)) continue
        const positions = yield* to.put(key, placed, "append")
        for (const [i, at] of positions.entries()) {
          if (at === undefined) continue
          if (held.has(at)) counts.present++
          else counts.appended++
          held.add(at)
          addContent(contents, { position: at, drawn: placed[i]!.drawn })
        }
      }
    })

  // If the put fails, the sample that was removed is put back. Uninterruptible, so that the position has one of the two.
  const replace = ({ differing, key }: Target) =>
    Effect.forEach(differing, (entry) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const { position } = entry
        const own = yield* ownSample(key, position)
        const [at] = yield* Effect.onError(
          Effect.andThen(to.remove(key, [position]), to.put(key, [entry], "drop")),
          () => typeof own === "object" ? Effect.exit(to.put(key, [{ position, drawn: own }], "drop")) : Effect.void
        )
        if (at === undefined) counts.kept++
        else counts.replaced++
      })), { discard: true })

  yield* readSamples(
    from,
    options,
    (error) => ifDamaged === "fail" ? Effect.fail(error) : Effect.sync(() => void damaged.push(error)),
    (key, samples) =>
      Effect.gen(function*() {
        yield* to.prepare(key)
        const held = new Set(yield* to.positions(key))
        const target: Target = { key, held, differing: [], contents: held.size === 0 ? new Map() : undefined }
        yield* Stream.runForEach(samples, (entries) => place(target, entries))
        // Last, so that no other sample finds its position taken by an appended one.
        yield* ifDifferent === "append" ? append(target) : replace(target)
      })
  )
  return { ...counts, damaged }
})

/** A key of `to`, while samples are put there. */
interface Target {
  readonly key: Key
  /** The positions that have a sample, as far as they are known. */
  readonly held: Set<number>
  /** The samples of `from` whose position has another sample. */
  readonly differing: Array<Entry>
  /** Read when it is first needed. */
  contents: Contents | undefined
}

/** The positions of samples, in ascending order, by their content. */
type Contents = Map<string, Array<number>>

const addContent = (contents: Contents | undefined, { drawn, position }: Entry): void => {
  const content = contentOf(drawn)
  const positions = contents?.get(content)
  if (positions === undefined) contents?.set(content, [position])
  else if (positions.at(-1)! < position) positions.push(position)
}

// A sample is appended once, however often the stores are merged: the id of its write follows from its content, and from
// its place if it has no name.
const idOf = (store: Store, { identity, path, prompt }: Key, { drawn, position }: Entry): string => {
  const { createdAt } = drawn.metadata
  const place = sampleName(drawn) !== undefined ? [] : [createdAt === undefined ? store.id : "", position, createdAt]
  return sha256(JSON.stringify([identity.id, prompt, path, contentOf(drawn), ...place]))
}
