/**
 * Explains why a cache has no sample for a draw.
 *
 * **When to use**
 *
 * Use it after a `ReplicationCacheMiss` (its message is a short form): `miss` for one draw, and `misses` for those of a run
 * that has a trace. `llm-cache why-miss` prints it.
 *
 * **Example** (Explain a draw)
 *
 * ```ts
 * import { DirectoryStore, Explain, LlmModel, Persistent } from "@llm-cache/core"
 * import { Console, Effect } from "effect"
 *
 * const replay = LlmModel.sampleMany("A number?", 3).pipe(
 *   Effect.provide(Persistent.layer({ directory: "~/.llm_cache", replication: true })),
 *   Effect.tapErrorTag("ReplicationCacheMiss", (error) =>
 *     Effect.gen(function*() {
 *       const store = yield* DirectoryStore.make("~/.llm_cache")
 *       yield* Console.log(Explain.format(yield* Explain.miss(store, error)))
 *     }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Identity, Json } from "./Identity.ts"
import { forkSuffix } from "./internal/errors/forkSuffix.ts"
import { differencesOf } from "./internal/explain/difference.ts"
import { nearestNames, others } from "./internal/explain/identities.ts"
import { NearestText } from "./internal/explain/nearest.ts"
import { verdictLines } from "./internal/explain/verdictLines.ts"
import { Key } from "./Key.ts"
import type { StoreError } from "./SampleError.ts"
import type { Listed, Store } from "./SampleStore.ts"
import * as Trace from "./Trace.ts"

/** A prompt that shares less of its words, weighed or not, is like any other. */
const leastSimilarity = 0.2

/** Shorter texts are in a prompt by chance. */
const leastText = 12

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * A draw that a cache could not answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draw {
  readonly identity: Identity
  readonly prompt: string
  readonly path: ReadonlyArray<string>
  readonly position: number
}

/**
 * A part of a text: in both prompts, in the stored one alone, or in the asked one alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Edit {
  readonly kind: "same" | "stored" | "asked"
  readonly text: string
}

/**
 * A difference of two prompts, word by word.
 *
 * @category models
 * @since 0.1.0
 */
export interface Difference {
  /** The index of the message, if both prompts are chats. */
  readonly message?: number | undefined
  /** The role of the message. */
  readonly role?: string | undefined
  readonly edits: ReadonlyArray<Edit>
}

/**
 * A difference of two identities. A field that one of them does not have is `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export interface FieldDifference {
  /** `model`, `temperature`, or the name of a parameter. */
  readonly field: string
  readonly stored: Json | undefined
  readonly asked: Json | undefined
}

/**
 * Why a draw missed: the first of the verdicts that holds.
 *
 * - `exhausted`: the key has samples, but not at this position.
 * - `otherFork`: the prompt has samples of this identity in other forks.
 * - `otherIdentity`: the prompt has samples of other identities. The nearest comes first.
 * - `follows`: the prompt contains something that an earlier draw of the run brought anew or missed.
 * - `near`: another prompt of this identity is similar.
 * - `unknown`: nothing is similar. The models of the cache that have a similar name come first.
 *
 * @category models
 * @since 0.1.0
 */
export type Explanation =
  & Draw
  & { readonly promptHash: string }
  & (
    | { readonly verdict: "exhausted"; readonly present: ReadonlyArray<number> }
    | {
      readonly verdict: "otherFork"
      readonly forks: ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly samples: number }>
    }
    | {
      readonly verdict: "otherIdentity"
      readonly identities: ReadonlyArray<
        {
          readonly identity: Identity
          readonly samples: number
          readonly differences: ReadonlyArray<FieldDifference>
        }
      >
    }
    | { readonly verdict: "follows"; readonly from: number }
    | {
      readonly verdict: "near"
      readonly nearest: {
        readonly prompt: string
        readonly hash: string
        readonly samples: number
        /** The words that both prompts have, as a part of all their words: from 0 to 1. */
        readonly similarity: number
      }
      readonly differences: ReadonlyArray<Difference>
      /** How many prompts were compared. */
      readonly compared: number
    }
    | { readonly verdict: "unknown"; readonly identities: ReadonlyArray<Identity>; readonly compared: number }
  )

/**
 * A miss of a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Miss extends Draw {
  /** Which draw of the run it was, from 1. */
  readonly number: number
  /** The number of an earlier draw: its missed prompt, or the text that it brought anew, is in this prompt. */
  readonly from: number | undefined
  /** How many later misses follow from it, directly or not. */
  readonly follows: number
}

// -----------------------------------------------------------------------------
// explaining
// -----------------------------------------------------------------------------

/**
 * Explains why a store has no sample for a draw: a `ReplicationCacheMiss`, or a miss of a run.
 *
 * @category explaining
 * @since 0.1.0
 */
export const miss = (store: Store, draw: Draw & Partial<Pick<Miss, "from">>): Effect.Effect<Explanation, StoreError> =>
  Effect.gen(function*() {
    const { from, identity, path, position, prompt } = draw
    const key = new Key(identity, prompt, path)
    const { promptHash } = key
    const common = { identity, prompt, path, position, promptHash }
    const present = yield* store.positions(key)
    if (present.length > 0) return { ...common, verdict: "exhausted", present } as const

    const same = yield* listed(store, { promptHash })
    const forks = same.filter(({ key }) => key.identity.id === identity.id)
    if (forks.length > 0) {
      return {
        ...common,
        verdict: "otherFork",
        forks: forks.map(({ key, samples }) => ({ path: key.path, samples }))
      } as const
    }
    if (same.length > 0) return { ...common, verdict: "otherIdentity", identities: others(identity, same) } as const
    if (from !== undefined) return { ...common, verdict: "follows", from } as const

    const nearest = new NearestText<{ readonly hash: string }>(prompt)
    const seen = new Set<string>()
    yield* Stream.runForEachArray(store.keys({ identity }), (elements) =>
      Effect.sync(() => {
        for (const element of elements) {
          if (Result.isFailure(element)) continue
          const { key } = element.success
          if (seen.size < seen.add(key.promptHash).size) nearest.add(key.prompt, { hash: key.promptHash })
        }
      }))
    const { compared } = nearest
    const found = nearest.find()
    if (found !== undefined && Math.max(found.similarity, found.weighed) >= leastSimilarity) {
      const { of: { hash }, similarity } = found
      const stored = yield* listed(store, { identity, promptHash: hash })
      if (stored.length > 0) {
        const other = stored[0]!.key.prompt
        return {
          ...common,
          verdict: "near",
          nearest: {
            prompt: other,
            hash,
            samples: stored.reduce((sum, { samples }) => sum + samples, 0),
            similarity
          },
          differences: differencesOf(other, prompt),
          compared
        } as const
      }
    }
    const identities = (yield* Stream.runCollect(store.identities)).filter(Result.isSuccess).map(({ success }) =>
      success.identity
    )
    return {
      ...common,
      verdict: "unknown",
      identities: nearestNames(identity, identities),
      compared
    } as const
  })

/**
 * The draws that a run missed in replication, by its trace, in order. If the prompt of a miss contains the text of a
 * sample that the run requested before, or the prompt of an earlier miss, it follows from that one.
 *
 * **Details**
 *
 * It reads the samples that the run requested from the store.
 *
 * @category explaining
 * @since 0.1.0
 */
export const misses = (store: Store, file: string): Effect.Effect<ReadonlyArray<Miss>, StoreError> =>
  Effect.gen(function*() {
    const prompts = new Map<Trace.TracedKey, string>()
    const missed: Array<{ readonly entry: Extract<Trace.Entry, { readonly asks: string }>; readonly number: number }> =
      []
    const bought: Array<{ readonly entry: Extract<Trace.Entry, { readonly store: string }>; readonly number: number }> =
      []
    const sent = new Set<string>()
    let number = 0
    yield* Stream.runForEachArray(Trace.read(file), (entries) =>
      Effect.sync(() => {
        for (const entry of entries) {
          if (entry.type === "prompt") prompts.set(entry.key, entry.text)
          else if (entry.type === "done") sent.add(entry.request)
          else if (entry.type === "hit") number++
          else if (entry.type === "miss" && entry.asks !== "cache") {
            number++
            if (entry.asks === "nothing") missed.push({ entry, number })
          } else if (entry.type === "stored" && entry.store === store.id && sent.has(entry.request ?? "")) {
            bought.push({ entry, number })
          }
        }
      }))
    if (missed.length === 0) return []
    const earlier: Array<{ readonly text: string; readonly number: number }> = []
    for (const { entry: { key, position }, number } of bought) {
      const found = yield* listed(store, { identity: key.identity, promptHash: key.promptHash })
      const same = found.find((listed) => listed.key.path.join("\0") === key.path.join("\0"))
      const text = same === undefined ? undefined : (yield* store.get(same.key, position))?.text
      if (text !== undefined) earlier.push({ text, number })
    }
    const found: Array<{ -readonly [name in keyof Miss]: Miss[name] }> = []
    for (const { entry: { key: { identity, path }, position, key }, number } of missed) {
      const prompt = prompts.get(key) ?? ""
      const source = earlier.find((one) =>
        one.number < number && one.text.length >= leastText && one.text !== prompt && contains(prompt, one.text)
      )
      found.push({ identity, prompt, path, position, number, from: source?.number, follows: 0 })
      earlier.push({ text: prompt, number })
    }
    const byNumber = new Map(found.map((one) => [one.number, one]))
    for (const one of found) {
      for (let { from } = one; from !== undefined;) {
        const source = byNumber.get(from)
        if (source === undefined) break
        source.follows++
        from = source.from
      }
    }
    return found
  })

/**
 * How two texts differ, word by word. Chats are compared message by message.
 *
 * @category explaining
 * @since 0.1.0
 */
export const differences = (stored: string, asked: string): ReadonlyArray<Difference> => differencesOf(stored, asked)

// A text may be in a prompt as a string of JSON.
const contains = (prompt: string, text: string): boolean =>
  prompt.includes(text) || prompt.includes(JSON.stringify(text).slice(1, -1))

const listed = (
  store: Store,
  filter: { readonly identity?: Identity; readonly promptHash: string }
): Effect.Effect<ReadonlyArray<Listed>, StoreError> =>
  Effect.map(
    Stream.runCollect(store.keys(filter)),
    (found) => found.filter(Result.isSuccess).map(({ success }) => success)
  )

// -----------------------------------------------------------------------------
// formatting
// -----------------------------------------------------------------------------

/**
 * The explanation in a few lines. A difference is written as `[-stored-]{+asked+}`.
 *
 * **Gotchas**
 *
 * Prompts may have control characters: escape them before the text goes to a terminal.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (explanation: Explanation): string => {
  const { identity, path, position, promptHash } = explanation
  const head = `${identity.toString()}${forkSuffix(path)}, prompt ${promptHash.slice(0, 8)}, position ${position}`
  return `${head}\n${verdictLines(explanation).join("\n").replace(/^/gm, "  ")}`
}
