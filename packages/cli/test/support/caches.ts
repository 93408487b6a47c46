/** Caches that the tests look into. */
import * as DirectoryStore from "@llm-cache/core/DirectoryStore"
import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import type { Entry, Metadata } from "@llm-cache/core/Sample"
import type { Store } from "@llm-cache/core/SampleStore"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"

/** Samples of one sequence. */
export interface Sequence {
  readonly model: string
  readonly temperature?: number
  readonly parameters?: { readonly [name: string]: string | number }
  readonly fork?: ReadonlyArray<string>
  readonly prompt: string
  readonly samples: { readonly [position: number]: string }
  readonly metadata?: Metadata
}

/** The time of all samples: too long ago to be told in days. */
const createdAt = Date.UTC(2026, 0, 2, 3, 4, 5)

export const put = (store: Store, sequences: ReadonlyArray<Sequence>) =>
  Effect.forEach(
    sequences,
    ({ fork = [], metadata, model, parameters, prompt, samples, temperature }) =>
      Effect.gen(function*() {
        const key = new Key(yield* Identity.make({ model, temperature, parameters }), prompt, fork)
        yield* store.prepare(key)
        const entries = Object.entries(samples).map(([position, text]): Entry => ({
          position: Number(position),
          drawn: {
            text,
            origins: [],
            metadata: {
              request: `${model} ${prompt} ${fork.join()} ${position}`,
              index: 0,
              createdAt,
              inputTokens: 10,
              outputTokens: 2,
              ...metadata
            }
          }
        }))
        yield* store.put(key, entries as [Entry, ...Array<Entry>], "drop")
      }),
    { discard: true }
  )

/** Makes a cache in a directory, or in a file of SQLite if its name ends with `.db`. */
export const makeCache = (place: string, sequences: ReadonlyArray<Sequence>): Promise<void> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const store = place.endsWith(".db")
      ? yield* SqliteStore.make({ file: place, durability: "process" })
      : yield* DirectoryStore.make(place, { durability: "process" })
    yield* put(store, sequences)
  })))

export const hashOf = (prompt: string): string => Crypto.createHash("sha256").update(prompt).digest("hex")

export const numberPrompt = "Choose a number between 1 and 1000."
export const numberHash = hashOf(numberPrompt)

const widePrompt = "1から1000までの数字を一つ選んでください。"
export const wideHash = hashOf(widePrompt)

export const wordPrompt = "Answer\nin one word."
export const wordHash = hashOf(wordPrompt)

/** Two models, forks, a gap, and wide characters. */
export const example: ReadonlyArray<Sequence> = [
  { model: "gpt-4o", temperature: 1, prompt: numberPrompt, samples: { 0: "92", 1: "747", 2: "131", 4: "16" } },
  { model: "gpt-4o", temperature: 1, prompt: numberPrompt, fork: ["trial-1"], samples: { 0: "808" } },
  { model: "gpt-4o", temperature: 1, prompt: numberPrompt, fork: ["trial-1", "a/b"], samples: { 0: "345" } },
  { model: "gpt-4o", temperature: 1, prompt: widePrompt, samples: { 0: "七" } },
  {
    model: "meta-llama/Llama-3.1-8B-Instruct",
    parameters: { max_tokens: 100 },
    prompt: wordPrompt,
    samples: { 0: "Yes", 1: "No" }
  }
]
