/**
 * Measures the stores side by side, and prints the table of the README: `node packages/scripts/stores.ts [PROMPTS]`. Servers are
 * measured where LLM_CACHE_TEST_POSTGRES and LLM_CACHE_TEST_REDIS say where they are (`packages/scripts/servers.sh` starts some).
 */
import { DirectoryStore, LlmModel, Persistent, type SampleError, SampleStore } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { PgStore } from "@llm-cache/sql"
import { SqliteStore } from "@llm-cache/sqlite"
import { Effect, Layer, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

const prompts = Number(process.argv[2] ?? 10_000)
const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-stores-"))
const prefix = `bench_${process.pid}`
const { LLM_CACHE_TEST_POSTGRES: postgres, LLM_CACHE_TEST_REDIS: redis } = process.env

const stores: ReadonlyArray<
  readonly [string, Layer.Layer<SampleStore.SampleStore, SampleError.InvalidInput | SampleError.StoreError>]
> = [
  ["directory", DirectoryStore.layer(Path.join(root, "directory"))],
  ["directory, `process`", DirectoryStore.layer(Path.join(root, "process"), { durability: "process" })],
  ["SQLite", SqliteStore.layer({ file: Path.join(root, "samples.db") })],
  ["SQLite, `process`", SqliteStore.layer({ file: Path.join(root, "process.db"), durability: "process" })],
  ...(postgres ? [["PostgreSQL", PgStore.layer({ url: Redacted.make(postgres), prefix })] as const] : []),
  ...(redis
    ? [["Redis", RedisStore.layer({ url: redis, prefix })] as const]
    : [])
]

const text = "0123456789abcdef".repeat(128)
const provider = LlmModel.layer({
  model: "bench",
  generate: ({ n }) => Effect.succeed({ samples: Array.from({ length: n }, () => text) })
})
const promptOf = (i: number) => `${i} `.padEnd(1024, "x")

/** Runs an effect over a store that is opened for it, and says how long it took, in milliseconds. */
const timed = (
  store: Layer.Layer<SampleStore.SampleStore, SampleError.InvalidInput | SampleError.StoreError>,
  self: Effect.Effect<unknown, SampleError.SampleError, LlmModel.LlmModel>
) =>
  Effect.promise(async () => {
    const start = performance.now()
    await Effect.runPromise(
      self.pipe(
        Effect.provide(Layer.provide(Persistent.layer(), [provider, Layer.fresh(store)]))
      )
    )
    return performance.now() - start
  })

const each = (from: number, to: number, concurrency: number) =>
  Effect.forEach(
    Array.from({ length: to - from }, (_, i) => promptOf(from + i)),
    (prompt) => LlmModel.sampleOne(prompt),
    { concurrency, discard: true }
  )

const measure = Effect.fnUntraced(
  function*(
    name: string,
    store: Layer.Layer<SampleStore.SampleStore, SampleError.InvalidInput | SampleError.StoreError>
  ) {
    yield* timed(store, LlmModel.sampleOne("first"))
    // Some milliseconds vary much: the least of several.
    const least = (self: Effect.Effect<unknown, SampleError.SampleError, LlmModel.LlmModel>) =>
      Effect.map(Effect.replicateEffect(timed(store, self), 5), (times) => Math.min(...times))
    const open = yield* least(LlmModel.sampleOne("first"))
    const half = Math.floor(prompts / 2)
    const alone = yield* timed(store, each(0, half, 1))
    const together = yield* timed(store, each(half, prompts, 64))
    const read = yield* timed(store, each(0, prompts, 1))
    const readTogether = yield* timed(store, each(0, prompts, 64))
    yield* timed(store, LlmModel.sampleMany("many", 1000))
    const many = yield* least(LlmModel.sampleMany("many", 1000))
    const perSample = (ms: number, n: number) => `${Math.round((ms - open) / n * 1000)} µs`
    return [
      name,
      `${open.toFixed(1)} ms`,
      perSample(read, prompts),
      perSample(readTogether, prompts),
      perSample(many, 1000),
      perSample(alone, half),
      perSample(together, prompts - half)
    ]
  }
)

const rows = await Effect.runPromise(Effect.forEach(stores, ([name, store]) => measure(name, store)))
const head = [
  "store",
  "open and first sample",
  "read, one of each prompt",
  "the same, 64 fibers",
  "read, 1,000 of one prompt",
  "record, one at a time",
  "record, 64 fibers"
]
for (const row of [head, head.map(() => "---"), ...rows]) console.log(`| ${row.join(" | ")} |`)
Fs.rmSync(root, { recursive: true })
