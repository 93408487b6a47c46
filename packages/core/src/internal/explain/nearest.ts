import { wordsOf } from "./words.ts"

/** How many prompts are kept to be weighed when the frequencies of all words are known. */
const mostKept = 100_000

interface Candidate<A> {
  readonly of: A
  /** The words that it shares with the text. */
  readonly shared: Uint32Array
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
 * Finds the text that shares most words with another, each weighed by its inverse document frequency: words that all texts
 * have say nothing. (Spärck Jones, "A statistical interpretation of term specificity", 1972.)
 */
export class NearestText<A> {
  readonly #ids: ReadonlyMap<string, number>
  /** In how many texts each word is. */
  readonly #frequencies: Float64Array
  readonly #candidates: Array<Candidate<A>> = []
  #compared = 0

  constructor(text: string) {
    this.#ids = new Map(Array.from(wordsOf(text), (word, id) => [word, id]))
    this.#frequencies = new Float64Array(this.#ids.size)
  }

  get compared(): number {
    return this.#compared
  }

  add(text: string, of: A): void {
    const words = wordsOf(text)
    const shared: Array<number> = []
    for (const word of words) {
      const id = this.#ids.get(word)
      if (id === undefined) continue
      shared.push(id)
      this.#frequencies[id]!++
    }
    this.#compared++
    if (shared.length === 0) return
    this.#candidates.push({ of, shared: Uint32Array.from(shared), words: words.size })
    if (this.#candidates.length >= mostKept) this.#candidates.splice(0, Infinity, this.#best()!.candidate)
  }

  find(): Nearest<A> | undefined {
    const best = this.#best()
    if (best === undefined) return undefined
    const { candidate: { of, shared, words }, weighed } = best
    return { of, similarity: shared.length / (this.#ids.size + words - shared.length), weighed }
  }

  #best(): { readonly candidate: Candidate<A>; readonly weighed: number } | undefined {
    const weights = this.#frequencies.map((frequency) => Math.log((this.#compared + 1) / (frequency + 0.5)))
    const all = weights.reduce((sum, weight) => sum + weight, 0)
    let best: { readonly candidate: Candidate<A>; readonly score: number } | undefined
    for (const candidate of this.#candidates) {
      let score = 0
      for (const id of candidate.shared) score += weights[id]!
      // Of equals, the one with the fewest words of its own.
      const isBetter = best === undefined || score > best.score + 1e-9 ||
        (score > best.score - 1e-9 && candidate.words < best.candidate.words)
      if (isBetter) best = { candidate, score }
    }
    return best && { candidate: best.candidate, weighed: best.score / all }
  }
}
