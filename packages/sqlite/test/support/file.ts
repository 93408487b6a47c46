import { Identity, Key, type SampleStore } from "@llm-cache/core"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

export const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))),
  (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true }))
)

export const newFile = Effect.map(folder, (root) => Path.join(root, "samples.db"))

export const keyOf = (prompt: string) =>
  Effect.map(Identity.make({ model: "m", temperature: 1 }), (identity) => new Key.Key(identity, prompt, []))

export const put = (store: SampleStore.Store, key: Key.Key, position: number, text = "a") =>
  store.put(
    key,
    [{ position, drawn: { text, metadata: { finishReason: "stop", outputTokens: 3 }, origins: [] } }],
    "drop"
  )
