import { NodeServices } from "@effect/platform-node"
import { LocalFileCache } from "@langchain/classic/cache/file_system"
import { DirectoryStore } from "@llm-cache/core"
import * as cacache from "cacache"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KeyValueStore, PersistedCache, Persistence } from "effect/persistence"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { atMost, type Check, fasterThanOriginal } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, persistent, run, sampleEach } from "../support/models.ts"
import { longSampleLength, promptsOf, sampleLength, sampleOf, sha256 } from "../support/payload.ts"
import { askEach, langchainCached, PromptRequest } from "../support/peers.ts"

const row = (name: string, title: string, length: number, checks: ReadonlyArray<Check>): Row => ({
  name,
  title,
  operation: "a sample",
  characters: length,
  once: true,
  rounds: 11,
  checks,
  note:
    "The floor reads a text by one call into the runtime. Ours makes four: it opens the file, reads its time (whose " +
    "microseconds are a checksum) and its text, and closes it. With the checksum that is 1.3 x in processor time. Beside " +
    "caches that leave much garbage the clock shows more.",
  setup: async ({ folder, quick, scope }) => {
    const count = quick ? 2000 : 10_000
    const prompts = promptsOf(count)

    const root = Path.join(folder, "ours")
    const store = await Effect.runPromise(DirectoryStore.make(root))
    const ours = await persistent(store, scope, length)
    await run(ours, sampleEach(prompts))

    const langchain = langchainCached(await LocalFileCache.create(Path.join(folder, "langchain")), length)
    await askEach(prompts, langchain)

    const cacacheRoot = Path.join(folder, "cacache")
    for (const [i, prompt] of prompts.entries()) await cacache.put(cacacheRoot, sha256(prompt), sampleOf(i, length))

    const files = KeyValueStore.layerFileSystem(Path.join(folder, "effect")).pipe(Layer.provide(NodeServices.layer))
    const services = await Effect.runPromise(
      Layer.buildWithScope(Layer.provideMerge(Persistence.layerKvs, files), scope)
    )
    const inEffect = <A, E>(
      self: Effect.Effect<A, E, KeyValueStore.KeyValueStore | Persistence.Persistence | Scope.Scope>
    ) => Effect.runPromise(self.pipe(Scope.provide(scope), Effect.provide(services)))
    const keyValues = await inEffect(KeyValueStore.KeyValueStore)
    await inEffect(inTurn(count, (i) => Effect.as(keyValues.set(sha256(prompts[i]!), sampleOf(i, length)), "")))
    // With hardly any memory, so that it reads files.
    const persisted = await inEffect(PersistedCache.make(
      ({ prompt }: PromptRequest) => Effect.succeed(sampleOf(Number.parseInt(prompt, 10), length)),
      { storeId: "samples", timeToLive: () => Infinity, inMemoryCapacity: 1 }
    ))
    await inEffect(inTurn(count, (i) => persisted.get(new PromptRequest({ prompt: prompts[i]! }))))

    return [
      { name: "sampleOne", role: "ours", operations: count, run: () => run(ours, sampleEach(prompts)) },
      {
        name: "readFileSync + sha256",
        role: "floor",
        operations: count,
        run: () => {
          let characters = 0
          for (const prompt of prompts) {
            characters += Fs.readFileSync(`${root}/bench_1/${sha256(prompt)}/0.md`, "utf8").length
          }
          return characters
        }
      },
      {
        // Like the first pass of a program: no file is in memory.
        name: "sampleOne, a store just opened",
        role: "ours",
        operations: count,
        run: async () =>
          run(
            await persistent(await Effect.runPromise(DirectoryStore.make(root)), scope, length),
            sampleEach(prompts)
          )
      },
      {
        name: "readFileSync + sha256, both files",
        role: "floor",
        operations: count,
        run: () => {
          let characters = 0
          for (const prompt of prompts) {
            const at = `${root}/bench_1/${sha256(prompt)}`
            characters += Fs.readFileSync(`${at}/0.md`, "utf8").length
            if (Fs.readFileSync(`${at}/0-255.jsonl`, "utf8") === "") throw new Error("an empty journal")
          }
          return characters
        }
      },
      { name: "LangChain: LocalFileCache", role: "peer", operations: count, run: () => askEach(prompts, langchain) },
      {
        name: "cacache",
        role: "peer",
        operations: count,
        run: () => askEach(prompts, async (prompt) => (await cacache.get(cacacheRoot, sha256(prompt))).data.toString())
      },
      {
        name: "Effect: KeyValueStore",
        role: "peer",
        operations: count,
        run: () => inEffect(inTurn(count, (i) => Effect.map(keyValues.get(sha256(prompts[i]!)), (text) => text!)))
      },
      {
        name: "Effect: PersistedCache",
        role: "peer",
        operations: count,
        run: () => inEffect(inTurn(count, (i) => persisted.get(new PromptRequest({ prompt: prompts[i]! }))))
      }
    ]
  }
})

export const directoryPrompts = row(
  "directory-prompts",
  "directory, 10,000 prompts x 1, warm",
  sampleLength,
  [atMost(1.6, "readFileSync + sha256"), fasterThanOriginal(40, 3)]
)

export const directoryPromptsLong = row(
  "directory-prompts-10k",
  "directory, 10,000 prompts x 1 of 10 KB, warm",
  longSampleLength,
  [atMost(1.6, "readFileSync + sha256")]
)
