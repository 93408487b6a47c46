import { DirectoryStore } from "@llm-cache/core"
import * as ProgramTest from "@llm-cache/testing/ProgramTest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const runs = Number(process.env["LLM_CACHE_REFERENCE_RUNS"] ?? 1000)
const seed = process.env["LLM_CACHE_REFERENCE_SEED"] ?? "reference"

ProgramTest.suite("stores in memory", { runs, seed })

ProgramTest.suite("directories", {
  runs: Math.ceil(runs / 20),
  seed,
  store: (folder) => DirectoryStore.layer(folder, { durability: "process" }),
  deleteSample: (store, key, position) =>
    Effect.sync(() => Fs.rmSync(Path.join(store.describe(key), `${position}.md`), { force: true }))
})
