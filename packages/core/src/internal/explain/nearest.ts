import { wordsOf } from "./words.ts"

/** How many prompts are kept to be weighed when the frequencies of all words are known. */
const mostKept = 100_000

interface Candidate<A> {
  readonly of: A
  /** What it shares with the text: words, and pairs of neighbours. */
  readonly shared: Uint32Array
  /** How many of the shared are words; they come first. */
  readonly sharedWords: number
  readonly words: number
}

/** The text that is most similar to another one. */
export interface Nearest<A> {
  readonly of: A
  /** The words that both have, as a part of all words of the two: from 0 to 1. */
  readonly similarity: number
  /** The part of the text's words that it has, weighed: from 0 to 1. */
  readonly weighed: number
}

/**
 * Finds the text that shares most words and pairs of neighbours with another, each weighed by its inverse document frequency:
 * words that all texts have say nothing. (Spärck Jones, "A statistical interpretation of term specificity", 1972.) Pairs tell
 * texts apart that have the same words in another order.
 */
export class NearestText<A> {
  readonly #words: ReadonlyMap<string, number>
  /** A pair as the number of its first word times the count of words, plus that of its second. Their ids follow the words'. */
  readonly #pairs = new Map<number, number>()
  /** In how many texts each word or pair is. */
  readonly #frequencies: Float64Array
  /** The last text that had the word or pair. */
  readonly #lastSeen: Float64Array
  readonly #candidates: Array<Candidate<A>> = []
  #compared = 0

  constructor(text: string) {
    const words = wordsOf(text)
    this.#words = new Map(Array.from(new Set(words), (word, id) => [word, id]))
    for (const pair of this.#pairsOf(words)) {
      if (!this.#pairs.has(pair)) this.#pairs.set(pair, this.#words.size + this.#pairs.size)
    }
    this.#frequencies = new Float64Array(this.#words.size + this.#pairs.size)
    this.#lastSeen = new Float64Array(this.#frequencies.length)
  }

  get compared(): number {
    return this.#compared
  }

  add(text: string, of: A): void {
    const words = wordsOf(text)
    const shared: Array<number> = []
    this.#compared++
    const see = (id: number | undefined) => {
      if (id === undefined || this.#lastSeen[id] === this.#compared) return
      this.#lastSeen[id] = this.#compared
      this.#frequencies[id]!++
      shared.push(id)
    }
    for (const word of words) see(this.#words.get(word))
    const sharedWords = shared.length
    if (sharedWords === 0) return
    for (const pair of this.#pairsOf(words)) see(this.#pairs.get(pair))
    this.#candidates.push({ of, shared: Uint32Array.from(shared), sharedWords, words: new Set(words).size })
    if (this.#candidates.length >= mostKept) this.#candidates.splice(0, Infinity, this.#best()!)
  }

  find(): Nearest<A> | undefined {
    const best = this.#best()
    if (best === undefined) return undefined
    const { of, shared, sharedWords, words } = best
    const weights = this.#weights()
    return {
      of,
      similarity: sharedWords / (this.#words.size + words - sharedWords),
      weighed: sum(weights, shared.subarray(0, sharedWords)) / sum(weights, this.#words.values())
    }
  }

  *#pairsOf(words: ReadonlyArray<string>): Generator<number> {
    let last: number | undefined
    for (const word of words) {
      const id = this.#words.get(word)
      if (id !== undefined && last !== undefined) yield last * this.#words.size + id
      last = id
    }
  }

  #weights(): Float64Array {
    return this.#frequencies.map((frequency) => Math.log((this.#compared + 1) / (frequency + 0.5)))
  }

  #best(): Candidate<A> | undefined {
    const weights = this.#weights()
    let best: { readonly candidate: Candidate<A>; readonly score: number } | undefined
    for (const candidate of this.#candidates) {
      const score = sum(weights, candidate.shared)
      // Of equals, the one with the fewest words of its own.
      const isBetter = best === undefined || score > best.score + 1e-9 ||
        (score > best.score - 1e-9 && candidate.words < best.candidate.words)
      if (isBetter) best = { candidate, score }
    }
    return best?.candidate
  }
}

const sum = (weights: Float64Array, ids: Iterable<number>): number => {
  let sum = 0
  for (const id of ids) sum += weights[id]!
  return sum
}
