import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import { digest, digestOfIdentity } from "./rows.ts"

/** The version of the layout of keys. */
export const format = "1"

/** The start of a script's error if it finds another version. */
export const otherFormat = "LLMCACHEFORMAT"

/** The keys that all sequences of a prefix share. */
export interface Place {
  /** A hash: `format`, and `id`, a unique name of the place. */
  readonly meta: string
  /** A hash: from digests of identities to their ids. */
  readonly identities: string
  /** A sorted set: the names of the sequences that have samples, in the order of the names. */
  readonly sequences: string
}

/** The keys of a sequence. */
export interface Sequence {
  /** Its name in `sequences`. */
  readonly name: string
  /** A hash: from positions to samples, and `key`, with the prompt and the fork path. */
  readonly samples: string
  /** A sorted set: the names of its entries, by their positions. */
  readonly index: string
}

export const placeOf = (prefix: string): Place => ({
  meta: `${prefix}:meta`,
  identities: `${prefix}:identities`,
  sequences: `${prefix}:sequences`
})

/** The names of the keys below a prefix. */
export const makeNames = (prefix: string) => {
  const identities = new WeakMap<Identity, string>()
  // All keys of a fork share its path.
  const paths = new WeakMap<ReadonlyArray<string>, string>()

  const identityOf = (identity: Identity): string => {
    let name = identities.get(identity)
    if (name === undefined) identities.set(identity, name = digestOfIdentity(identity))
    return name
  }

  const suffixOf = (path: ReadonlyArray<string>): string => {
    if (path.length === 0) return ""
    let suffix = paths.get(path)
    if (suffix === undefined) paths.set(path, suffix = `:${digest(JSON.stringify(path))}`)
    return suffix
  }

  // This order makes neighbors of the sequences of an identity, and of the forks of a prompt.
  const nameOf = (key: Key): string => `${identityOf(key.identity)}:${key.promptHash}${suffixOf(key.path)}`
  const samplesOf = (name: string): string => `${prefix}:samples:${name}`
  const indexOf = (name: string): string => `${prefix}:positions:${name}`

  return {
    identityOf,
    nameOf,
    samplesOf,
    indexOf,
    sequenceOf: (key: Key): Sequence => {
      const name = nameOf(key)
      return { name, samples: samplesOf(name), index: indexOf(name) }
    },
    leasesOf: (key: Key, positions: ReadonlyArray<number>): ReadonlyArray<string> => {
      const name = nameOf(key)
      return positions.map((position) => `${prefix}:lease:${name}:${position}`)
    }
  }
}

/** The names in `sequences` between these two are those of all sequences. */
export const all = ["-", "+"] as const

/**
 * The names in `sequences` between these two belong to the identity of a name, and to prompts with a hash that begins so.
 * A hash has no digit behind `f`.
 */
export const rangeOfIdentity = (identity: string, promptHash = ""): readonly [from: string, to: string] => [
  `[${identity}:${promptHash}`,
  `(${identity}:${promptHash}g`
]

/** The identity in the name of a sequence. */
export const identityIn = (name: string): string => name.slice(0, 32)

/** The prompt and the fork in the name of a sequence, which is empty for the samples of no fork. */
export const promptIn = (name: string): readonly [prompt: string, fork: string] => [name.slice(33, 97), name.slice(98)]
