import { Identity, Key, LlmModel, Persistent, type Sample, type SampleStore } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Path from "node:path"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { ahead } from "../support/ahead.ts"
import { inTurn, persistent, provider, run, sampleEach } from "../support/models.ts"
import { promptOf, sampleOf } from "../support/payload.ts"

const [few, many] = [10_000, 1_000_000]

/** The prompts of a call, the samples of each, and their length. */
const [sampled, each, length] = [10_000, 10, 600]

/** The times that a call opens the file. */
const openings = 20

const names = new Map([[many, "1,000,000 prompts"], [few, "10,000 prompts"]])

// The same texts in each run of the row.
const atRandom = (count: number) => {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return promptOf(Math.floor(state / 2 ** 32 * count))
  }
}

const fill = (store: SampleStore.Store, identity: Identity.Identity, count: number) => {
  const record = (i: number) => {
    const request = crypto.randomUUID()
    const entries = Array.from({ length: each }, (_, index): Sample.Entry => ({
      position: index,
      id: `${request} ${index}`,
      drawn: { text: sampleOf(i, length), metadata: { request, index, createdAt: i, elapsed: 0 }, origins: [] }
    }))
    return store.put(new Key.Key(identity, promptOf(i), []), entries as Arr.NonEmptyArray<Sample.Entry>, "drop")
  }
  const all = {
    *[Symbol.iterator]() {
      for (let i = 0; i < count; i++) yield i
    }
  }
  return Effect.forEach(all, record, { concurrency: 256, discard: true })
}

export const million: Row = {
  name: "million",
  title: "SQLite, a million prompts x 10, at random",
  operation: "a sample, or an opening with the first one",
  characters: length,
  once: true,
  checks: [
    atMost(1.5, "10 of a prompt, 10,000 prompts"),
    atMost(1.5, "sampleOne, 10,000 prompts", "sampleOne, 1,000,000 prompts"),
    atMost(1.5, "open, 10,000 prompts", "open, 1,000,000 prompts")
  ],
  note:
    "The first sample of a random prompt needs two pages that no cache of the processor has, one of the index of prompts and one of " +
    "samples, and SQLite copies each out of memory: 1.5 x (1.45 to 1.6) in processor time, and 1.2 x for ten of a prompt. With 64 MB " +
    "of the file in memory in place of 16 MB it is the same. Samples in the order of their prompts' digests would need no index (11.5 µs " +
    "for a look-up in place of 16), but would take twice as long to record, since a tree that grows in the middle has to be balanced.",
  notRun: () =>
    process.env["LLM_CACHE_BENCH_MILLION"] === "1"
      ? undefined
      : "it takes 10 GB and some minutes, set LLM_CACHE_BENCH_MILLION=1",
  setup: async ({ folder, scope }) => {
    const source = await provider(length)
    const { identity } = source
    const open = (count: number) => SqliteStore.make({ file: Path.join(folder, `${count}.db`) })
    const cases = []
    for (const count of [many, few]) {
      const store = await Effect.runPromise(Scope.provide(open(count), scope))
      await Effect.runPromise(fill(store, identity, count))
      const model = await persistent(store, scope, length)
      const next = atRandom(count)
      const prompts = (n: number) => () => Array.from({ length: n }, next)
      cases.push({ count, prompts, model })
    }
    return [
      ...cases.map(({ count, model, prompts }) => ({
        name: `10 of a prompt, ${names.get(count)}`,
        role: "ours" as const,
        operations: sampled * each,
        run: ahead(
          prompts(sampled),
          (prompts) => run(model, inTurn(sampled, (i) => LlmModel.sampleMany(prompts[i]!, each)))
        )
      })),
      ...cases.map(({ count, model, prompts }) => ({
        name: `sampleOne, ${names.get(count)}`,
        role: "ours" as const,
        operations: sampled,
        run: ahead(prompts(sampled), (prompts) => run(model, sampleEach(prompts)))
      })),
      ...cases.map(({ count, prompts }) => ({
        name: `open, ${names.get(count)}`,
        role: "ours" as const,
        operations: openings,
        run: ahead(prompts(openings), (prompts) =>
          Effect.runPromise(
            inTurn(openings, (i) =>
              Effect.scoped(Effect.gen(function*() {
                const model = yield* Persistent.make(source, yield* open(count))
                return yield* Effect.provideService(LlmModel.sampleOne(prompts[i]!), LlmModel.LlmModel, model)
              })))
          ))
      }))
    ]
  }
}
