import { identityIn, promptIn } from "./schema.ts"

interface Counts {
  readonly prompts: number
  readonly samples: number
  readonly forks: number
}

/** Counts prompts, samples and forks by the names of sequences, which come in order. */
export class IdentityCounts {
  readonly #counts = new Map<string, { prompts: number; samples: number; last: string; readonly forks: Set<string> }>()

  add(sequence: string, samples: number): void {
    if (samples === 0) return
    const identity = identityIn(sequence)
    let counts = this.#counts.get(identity)
    if (counts === undefined) {
      this.#counts.set(identity, counts = { prompts: 0, samples: 0, last: "", forks: new Set() })
    }
    const [prompt, fork] = promptIn(sequence)
    if (prompt !== counts.last) counts.prompts++
    counts.last = prompt
    counts.samples += samples
    if (fork !== "") counts.forks.add(fork)
  }

  /** The digests of the identities, and their counts. */
  all(): ReadonlyArray<readonly [identity: string, counts: Counts]> {
    return Array.from(this.#counts, ([identity, { forks, prompts, samples }]) => [
      identity,
      { prompts, samples, forks: forks.size }
    ])
  }
}
