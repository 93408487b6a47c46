import * as Duration from "effect/Duration"
import type { Event, Hit } from "../../Events.ts"
import type { Identity } from "../../Identity.ts"
import type { Metadata } from "../../Sample.ts"
import type { Amount, CacheCounts, Counts, Usage } from "../../Usage.ts"
import { sampleName } from "../store/sampleName.ts"
import { printable } from "./usageSummary.ts"

/** Adds up the requests, samples and tokens of events. */
export class UsageCounter {
  readonly #total = emptyCounts()
  readonly #models = new Map<string, { readonly identity: Identity; readonly counts: MutableCounts }>()
  readonly #caches = new Map<string, Mutable<CacheCounts>>()
  readonly #sentRequests = new Set<string>()
  readonly #replayedRequests = new Set<string>()
  readonly #replayedSamples = new Set<string>()

  readonly add = (event: Event): void => {
    const { identity } = event.key
    let model = this.#models.get(identity.id)
    if (model === undefined) this.#models.set(identity.id, model = { identity, counts: emptyCounts() })
    const all = [this.#total, model.counts]
    if ("store" in event) count(this.#cacheOf(event.store), event)
    switch (event._tag) {
      case "RequestDone":
        this.#sentRequests.add(event.request)
        for (const { spent } of all) {
          spent.samples += event.samples.length
          addRequest(spent, event.samples[0]?.metadata, event.elapsed)
        }
        for (const counts of all) counts.failedSamples += event.failures.length
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
      case "RequestRetried":
      case "Stored":
      case "Raced":
    }
  }

  usage(): Usage {
    const models = Array.from(
      this.#models.values(),
      ({ counts, identity }) => printable({ identity, ...toCounts(counts) }, [], identity)
    )
    const caches = Array.from(this.#caches.values(), (counts) => ({ ...counts }))
    return printable({ ...toCounts(this.#total), models, caches }, models)
  }

  #replay(hit: Hit, all: ReadonlyArray<MutableCounts>): void {
    const { metadata } = hit.sample
    const { request } = metadata
    if (request !== undefined && this.#sentRequests.has(request)) return
    const sample = nameOf(hit)
    if (this.#replayedSamples.has(sample)) return
    this.#replayedSamples.add(sample)
    for (const { replayed } of all) {
      replayed.samples++
      if (request === undefined) replayed.unmetered++
    }
    if (request === undefined || this.#replayedRequests.has(request)) return
    this.#replayedRequests.add(request)
    for (const { replayed } of all) addRequest(replayed, metadata, metadata.elapsed)
  }

  #cacheOf(store: string): Mutable<CacheCounts> {
    let counts = this.#caches.get(store)
    if (counts === undefined) this.#caches.set(store, counts = { store, hits: 0, misses: 0, stored: 0 })
    return counts
  }
}

// A sample without a name is known by its place. A slice reports the place in the cache beneath it.
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

const emptyAmount = (): MutableAmount => ({
  requests: 0,
  samples: 0,
  inputTokens: 0,
  outputTokens: 0,
  unmetered: 0,
  elapsed: 0
})

const emptyCounts = (): MutableCounts => ({
  spent: emptyAmount(),
  replayed: emptyAmount(),
  failedRequests: 0,
  failedSamples: 0,
  hits: 0,
  misses: 0,
  refused: 0
})

const addRequest = (amount: MutableAmount, metadata: Metadata = {}, elapsed: number = 0): void => {
  const { inputTokens, outputTokens } = metadata
  amount.requests++
  amount.inputTokens += inputTokens ?? 0
  amount.outputTokens += outputTokens ?? 0
  if (inputTokens === undefined || outputTokens === undefined) amount.unmetered++
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
