import { DirectoryStore } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { install } from "../support/installed.ts"
import { persistent, run, sampleEach } from "../support/models.ts"
import { promptOf, promptsOf } from "../support/payload.ts"

// A whole program that replays and starts fast: it imports single modules, and no barrel.
const program = (store: string, layer: string) => `
import * as LlmModel from "@llm-cache/core/LlmModel"
${store}
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const model = Layer.provide(${layer}, LlmModel.layer({
  model: "bench",
  temperature: 1,
  generate: () => Effect.die("asked")
}))
const sample = await Effect.runPromise(Effect.provide(LlmModel.sampleOne(process.argv[3]), model))
process.stdout.write(sample)
`

const programs = {
  "directory.mjs": program(
    `import * as Persistent from "@llm-cache/core/Persistent"`,
    `Persistent.layer({ directory: process.argv[2], replication: true })`
  ),
  "sqlite.mjs": program(
    `import * as Persistent from "@llm-cache/core/Persistent"
import * as SqliteStore from "@llm-cache/sqlite/SqliteStore"`,
    `Persistent.layer({ store: SqliteStore.layer({ file: process.argv[2] }), replication: true })`
  ),
  "barrel.mjs": `
import { LlmModel, Persistent } from "@llm-cache/core"
import { Effect, Layer } from "effect"
${
    program("", `Persistent.layer({ directory: process.argv[2], replication: true })`)
      .replaceAll(/^import.*$/gm, "")
  }`,
  // The smallest program of the README, as users write it.
  "readme.mjs": `
import { LlmModel, Persistent } from "@llm-cache/core"
import { OpenAi } from "@llm-cache/providers"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

const model = LlmModel.stack(
  Persistent.layer({ directory: process.argv[2] }),
  OpenAi.layer({ model: "bench", temperature: 1 })
).pipe(Layer.provide(FetchHttpClient.layer))
const sample = await Effect.runPromise(Effect.provide(LlmModel.sampleOne(process.argv[3]), model))
process.stdout.write(sample)
`,
  "stream.mjs": `import * as Stream from "effect/Stream"\nprocess.stdout.write(Stream.empty ? process.argv[3] : "")\n`
}

export const startUp: Row = {
  name: "start-up",
  title: "start-up to the first replayed sample, the program included",
  operation: "a program",
  once: true,
  rounds: 20,
  checks: [
    atMost(1.25, "a program that imports effect/Stream"),
    atMost(1.05, "directory of 10 prompts"),
    atMost(1.25, "a program that imports effect/Stream", "SQLite of 10,000 prompts"),
    atMost(1.05, "SQLite of 10 prompts", "SQLite of 10,000 prompts")
  ],
  note:
    "Node loads the files of the library and of Effect one by one. The ratio varies between runs: others had 1.18 and 1.21 x.",
  setup: async ({ folder, quick, scope }) => {
    install(folder, ["core", "providers", "sqlite"])
    for (const [name, text] of Object.entries(programs)) Fs.writeFileSync(Path.join(folder, name), text)
    const large = quick ? 1000 : 10_000
    const at = (name: string) => Path.join(folder, name)
    for (const [name, count] of [["small", 10], ["large", large]] as const) {
      const prompts = promptsOf(count)
      const directory = await Effect.runPromise(DirectoryStore.make(at(name)))
      await run(await persistent(directory, scope), sampleEach(prompts))
      const sqlite = await Effect.runPromise(Scope.provide(SqliteStore.make({ file: at(`${name}.db`) }), scope))
      await run(await persistent(sqlite, scope), sampleEach(prompts, 64))
    }
    const prompt = promptOf(5)
    const start = (name: string, file: string, cache: string, role: "ours" | "floor" | "peer" = "ours") => ({
      name,
      role,
      operations: 1,
      run: () => execFileSync(process.execPath, [at(file), at(cache), prompt], { cwd: folder }).length
    })
    const [ours, ...others] = [
      start("directory of 10,000 prompts", "directory.mjs", "large"),
      start("directory of 10 prompts", "directory.mjs", "small"),
      start("SQLite of 10,000 prompts", "sqlite.mjs", "large.db"),
      start("SQLite of 10 prompts", "sqlite.mjs", "small.db"),
      start("directory, from the barrels", "barrel.mjs", "large"),
      start("directory and a vendor, from the barrels", "readme.mjs", "large")
    ]
    return [
      ours,
      {
        // Both outputs together have the length of a sample.
        ...start("a program that imports effect/Stream", "stream.mjs", "none", "floor"),
        run: () => execFileSync(process.execPath, [at("stream.mjs"), "none", prompt + prompt], { cwd: folder }).length
      },
      ...others
    ]
  }
}
