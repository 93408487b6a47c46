import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Key } from "../../Key.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import { SampleConflict, type StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import type { MergeOptions, TransferResult } from "../../Transfer.ts"
import { sha256 } from "../sha256.ts"
import { readAll } from "./readAll.ts"
import { chunk, concurrency, readSamples } from "./readSamples.ts"
import { contentOf, isSameSample } from "./sameSample.ts"
import { sampleName } from "./sampleName.ts"

/** Puts the samples of one store into another, each at its position. */
export const transferSamples = (
  from: Store,
  to: Store,
  options: MergeOptions = {}
): Effect.Effect<TransferResult, StoreError | SampleConflict> =>
  Effect.suspend(() => {
    const transfer = new Transferring(from, to, options)
    return Effect.map(readSamples(from, options, transfer.onDamaged, transfer.visit), () => transfer.result)
  })

/** A transfer in progress. */
class Transferring {
  readonly #from: Store
  readonly #to: Store
  readonly #ifDamaged: "fail" | "skip"
  readonly #ifDifferent: "fail" | "ours" | "theirs" | "append"
  readonly #damaged: Array<StoreError> = []
  readonly #counts = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0 }

  constructor(from: Store, to: Store, { damaged = "fail", ifDifferent = "fail" }: MergeOptions) {
    this.#from = from
    this.#to = to
    this.#ifDamaged = damaged
    this.#ifDifferent = ifDifferent
  }

  get result(): TransferResult {
    return { ...this.#counts, damaged: this.#damaged }
  }

  readonly onDamaged = (error: StoreError): Effect.Effect<void, StoreError> =>
    this.#ifDamaged === "fail" ? Effect.fail(error) : Effect.sync(() => void this.#damaged.push(error))

  /** Puts the samples of a key. */
  readonly visit = (
    key: Key,
    samples: Stream.Stream<Arr.NonEmptyReadonlyArray<Entry>, StoreError>
  ): Effect.Effect<void, StoreError | SampleConflict> =>
    Effect.gen({ self: this }, function*() {
      yield* this.#to.prepare(key)
      const held = new Set(yield* this.#to.positions(key))
      const target: Target = { key, held, differing: [], contents: held.size === 0 ? new Map() : undefined }
      yield* Stream.runForEach(samples, (entries) => this.#place(target, entries))
      // Last, so that no other sample finds its position taken by an appended one.
      yield* this.#ifDifferent === "append" ? this.#append(target) : this.#replace(target)
    })

  readonly #place = (target: Target, entries: Arr.NonEmptyReadonlyArray<Entry>) =>
    Effect.gen({ self: this }, function*(): Effect.fn.Return<void, StoreError | SampleConflict> {
      const { differing, held, key } = target
      const isHeld = ({ position }: Entry) => held.has(position)
      const taken = entries.filter(isHeld)
      const fresh = yield* this.#withoutMoved(target, entries.filter((entry) => !isHeld(entry)))
      if (Arr.isReadonlyArrayNonEmpty(fresh)) {
        const positions = yield* this.#to.put(key, fresh, "drop")
        for (const { position } of fresh) held.add(position)
        const lost: Array<Entry> = []
        for (const [i, entry] of fresh.entries()) {
          if (positions[i] === undefined) lost.push(entry)
          else if (this.#ifDifferent === "append") addContent(target.contents, entry)
        }
        this.#counts.copied += fresh.length - lost.length
        // Another writer was first.
        taken.push(...lost)
      }
      const own = yield* Effect.forEach(taken, ({ position }) => this.#ownSample(key, position), { concurrency })
      for (const [i, entry] of taken.entries()) {
        const sample = own[i]
        if (sample === "damaged") this.#counts.kept++
        else if (sample !== undefined && isSameSample(sample, entry.drawn)) this.#counts.present++
        else if (this.#ifDifferent === "ours") this.#counts.kept++
        else if (this.#ifDifferent === "fail" && sample !== undefined) {
          const [ours, theirs] = [sample.text, entry.drawn.text]
          return yield* new SampleConflict({
            key,
            position: entry.position,
            ours,
            theirs,
            from: this.#from.id,
            to: this.#to.id
          })
        } else differing.push(entry)
      }
    })

  // With "append": the samples that `to` does not have at another position. Samples without a name are not looked up.
  readonly #withoutMoved = (target: Target, entries: ReadonlyArray<Entry>) =>
    Effect.gen({ self: this }, function*(): Effect.fn.Return<ReadonlyArray<Entry>, StoreError> {
      if (this.#ifDifferent !== "append" || !entries.some(({ drawn }) => sampleName(drawn) !== undefined)) {
        return entries
      }
      const contents = yield* this.#contentsOf(target)
      const seen = new Set<string>()
      const missing = entries.filter(({ drawn }) => {
        const content = contentOf(drawn)
        if (sampleName(drawn) === undefined) return true
        return !contents.has(content) && seen.size < seen.add(content).size
      })
      this.#counts.present += entries.length - missing.length
      return missing
    })

  readonly #contentsOf = (target: Target): Effect.Effect<Contents, StoreError> =>
    target.contents !== undefined ? Effect.succeed(target.contents) : Effect.map(
      readAll(this.#to, target.key, [...target.held].sort((a, b) => a - b), () => Effect.void),
      (entries) => {
        const contents: Contents = target.contents = new Map()
        for (const entry of entries) addContent(contents, entry)
        return contents
      }
    )

  // A damaged sample of `to` can be replaced, or skipped.
  readonly #ownSample = (key: Key, position: number): Effect.Effect<Drawn | "damaged" | undefined, StoreError> =>
    Effect.catchIf(
      this.#to.get(key, position),
      (error) => error.kind === "Damaged" && (this.#ifDifferent === "theirs" || this.#ifDamaged === "skip"),
      (error): Effect.Effect<"damaged" | undefined> =>
        Effect.sync(() => {
          if (this.#ifDifferent === "theirs") return undefined
          this.#damaged.push(error)
          return "damaged"
        })
    )

  readonly #append = (target: Target) =>
    Effect.gen({ self: this }, function*(): Effect.fn.Return<void, StoreError> {
      const { differing, held, key } = target
      // The lowest position that may be free.
      let free = 0
      for (const entries of Arr.chunksOf(differing, chunk)) {
        const contents = yield* this.#contentsOf(target)
        const placed = (yield* this.#withoutMoved(target, entries)).map((entry): Entry => {
          const { drawn } = entry
          const id = idOf(this.#from, key, entry)
          // A sample without a name may have been appended before: the store finds its id from this position on.
          const at = sampleName(drawn) === undefined &&
            contents.get(contentOf(drawn))?.find((position) => position >= entry.position)
          if (typeof at === "number") return { drawn, id, position: at }
          for (free = Math.max(free, entry.position); held.has(free);) free++
          return { drawn, id, position: free++ }
        })
        if (!Arr.isReadonlyArrayNonEmpty(placed)) continue
        const positions = yield* this.#to.put(key, placed, "append")
        for (const [i, at] of positions.entries()) {
          if (at === undefined) continue
          if (held.has(at)) this.#counts.present++
          else this.#counts.appended++
          held.add(at)
          addContent(contents, { position: at, drawn: placed[i]!.drawn })
        }
      }
    })

  // If the put fails, the sample that was removed is put back. Uninterruptible, so that the position has one of the two.
  readonly #replace = ({ differing, key }: Target) =>
    Effect.forEach(differing, (entry) =>
      Effect.uninterruptible(Effect.gen({ self: this }, function*() {
        const { position } = entry
        const own = yield* this.#ownSample(key, position)
        const [at] = yield* Effect.onError(
          Effect.andThen(this.#to.remove(key, [position]), this.#to.put(key, [entry], "drop")),
          () =>
            typeof own === "object" ? Effect.exit(this.#to.put(key, [{ position, drawn: own }], "drop")) : Effect.void
        )
        if (at === undefined) this.#counts.kept++
        else this.#counts.replaced++
      })), { discard: true })
}

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
