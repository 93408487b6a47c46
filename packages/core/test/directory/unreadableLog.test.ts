import { assert, it } from "@effect/vitest"
import { DirectoryStore, Independent, Key, LlmModel, Persistent } from "@llm-cache/core"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory } from "../support/directory.ts"
import { makeProvider, using } from "../support/provider.ts"

it.effect("A draw of Independent whose metadata cannot be read is a StoreError, and uses up no position", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider()
    const store = yield* DirectoryStore.make(root)
    const cache = yield* Persistent.make(provider.model, store)
    yield* LlmModel.sampleMany("p", 3).pipe(using(cache))
    const folder = store.describe(new Key.Key(cache.identity, "p", []))
    const log = Path.join(folder, Fs.readdirSync(folder).find((name) => name.endsWith(".jsonl"))!)
    Fs.renameSync(log, `${log}.aside`)
    Fs.mkdirSync(log)
    const independent = yield* Independent.make(
      yield* Persistent.make(provider.model, yield* DirectoryStore.make(root))
    )
    assert.strictEqual((yield* Effect.flip(LlmModel.sampleOne("p").pipe(using(independent))))._tag, "StoreError")
    Fs.rmdirSync(log)
    Fs.renameSync(`${log}.aside`, log)
    assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(independent)), provider.given)
  }).pipe(Effect.scoped))
