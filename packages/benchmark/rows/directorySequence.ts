import { DirectoryStore, LlmModel } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { atMost, fasterThanOriginal } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { lengthOf, persistent, run } from "../support/models.ts"
import { promptOf, sha256 } from "../support/payload.ts"

const row = (length: number, original: number): Row => ({
  name: `directory-${length}-of-one`,
  title: `directory, ${length.toLocaleString("en")} of one prompt, warm`,
  operation: "a sample",
  checks: [atMost(1.3, "readFileSync"), fasterThanOriginal(original)],
  setup: async ({ folder, scope }) => {
    const prompt = promptOf(0)
    const root = Path.join(folder, "ours")
    const store = await Effect.runPromise(DirectoryStore.make(root))
    const ours = await persistent(store, scope)
    await run(ours, LlmModel.sampleMany(prompt, length))
    return [
      {
        name: "sampleMany",
        role: "ours",
        operations: length,
        run: () => run(ours, Effect.map(LlmModel.sampleMany(prompt, length), lengthOf))
      },
      {
        name: "readFileSync",
        role: "floor",
        operations: length,
        run: () => {
          const at = `${root}/bench_1/${sha256(prompt)}`
          let characters = 0
          for (let i = 0; i < length; i++) characters += Fs.readFileSync(`${at}/${i}.md`, "utf8").length
          return characters
        }
      },
      {
        name: "sample, as a Stream",
        role: "ours",
        operations: length,
        run: () => run(ours, Effect.map(LlmModel.sample(prompt).pipe(Stream.take(length), Stream.runCollect), lengthOf))
      }
    ]
  }
})

export const directory100 = row(100, 1419)
export const directory1000 = row(1000, 19_575)
