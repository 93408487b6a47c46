import * as Duration from "effect/Duration"
import type { Event, Hit } from "../../Events.ts"
import type { Identity } from "../../Identity.ts"
import type { Metadata } from "../../Sample.ts"
import type { Amount, CacheCounts, Counts, Usage } from "../../Usage.ts"
import { sampleName } from "../store/sampleName.ts"

/** Adds up events. */
export class Tally {
  readonly #total = emptyCounts()
  readonly #models = new Map<string, { readonly identity: Identity; readonly counts: MutableCounts }>()
  readonly #caches = new Map<string, Mutable<CacheCounts>>()
  // The requests that were sent, those that were replayed, and the samples that were.
  readonly #bought = new Set<string>()
  readonly #replayed = new Set<string>()
  readonly #samples = new Set<string>()

  readonly add = (event: Event): void => {
    const { identity } = event.key
    let model = this.#models.get(identity.id)
    if (model === undefined) this.#models.set(identity.id, model = { identity, counts: emptyCounts() })
    const all = [this.#total, model.counts]
    if ("store" in event) count(this.#cacheOf(event.store), event)
    switch (event._tag) {
      case "RequestDone":
        this.#bought.add(event.request)
        for (const { spent } of all) {
          spent.samples += event.samples.length
          addRequest(spent, event.samples[0]?.metadata, event.elapsed)
        }
        return
      case "RequestFailed":
        for (const counts of all) counts.failedRequests++
        return
      case "Hit":
        for (const counts of all) counts.hits++
        this.#replay(event, all)
        return
      case "Miss":
        if (event.asks !== "cache") { for (const counts of all) counts.misses++ }
        return
      case "Refused":
        for (const counts of all) counts.refused++
        return
      case "RequestSent":
      case "Stored":
    }
  }

  usage(): Usage {
    return {
      ...toCounts(this.#total),
      models: Array.from(this.#models.values(), ({ counts, identity }) => ({ identity, ...toCounts(counts) })),
      caches: Array.from(this.#caches.values(), (counts) => ({ ...counts }))
    }
  }

  #replay(hit: Hit, all: ReadonlyArray<MutableCounts>): void {
    const { metadata } = hit.sample
    const { request } = metadata
    if (request !== undefined && this.#bought.has(request)) return
    const sample = nameOf(hit)
    if (this.#samples.has(sample)) return
    this.#samples.add(sample)
    for (const { replayed } of all) replayed.samples++
    if (request === undefined || this.#replayed.has(request)) return
    this.#replayed.add(request)
    for (const { replayed } of all) addRequest(replayed, metadata, metadata.elapsed)
  }

  #cacheOf(store: string): Mutable<CacheCounts> {
    let counts = this.#caches.get(store)
    if (counts === undefined) this.#caches.set(store, counts = { store, hits: 0, misses: 0, stored: 0 })
    return counts
  }
}

// Of a sample without a name: where it is. In a slice it is where it is in the cache beneath.
const nameOf = ({ key, position, sample }: Hit): string =>
  sampleName(sample) ?? JSON.stringify([key.identity.id, key.path, key.promptHash, position])

const count = (cache: Mutable<CacheCounts>, { _tag }: Event): void => {
  if (_tag === "Hit") cache.hits++
  else if (_tag === "Miss") cache.misses++
  else if (_tag === "Stored") cache.stored++
}

type Mutable<A> = { -readonly [name in keyof A]: A[name] }

type MutableAmount = Omit<Mutable<Amount>, "requestTime"> & { elapsed: number }

type MutableCounts = Mutable<Omit<Counts, "spent" | "replayed">> & Record<"spent" | "replayed", MutableAmount>

const emptyAmount = (): MutableAmount => ({ requests: 0, samples: 0, inputTokens: 0, outputTokens: 0, elapsed: 0 })

const emptyCounts = (): MutableCounts => ({
  spent: emptyAmount(),
  replayed: emptyAmount(),
  failedRequests: 0,
  hits: 0,
  misses: 0,
  refused: 0
})

const addRequest = (amount: MutableAmount, metadata: Metadata = {}, elapsed: number = 0): void => {
  amount.requests++
  amount.inputTokens += metadata.inputTokens ?? 0
  amount.outputTokens += metadata.outputTokens ?? 0
  amount.elapsed += elapsed
}

const toCounts = ({ replayed, spent, ...counts }: MutableCounts): Counts => ({
  spent: toAmount(spent),
  replayed: toAmount(replayed),
  ...counts
})

const toAmount = ({ elapsed, ...amount }: MutableAmount): Amount => ({
  ...amount,
  requestTime: Duration.millis(elapsed)
})
