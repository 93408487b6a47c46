import { Identity, Key, LlmModel, Persistent, type Sample } from "@llm-cache/core"
import { Effect } from "effect"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { using } from "./provider.ts"

export const sha256 = (text: string) => Crypto.createHash("sha256").update(text).digest("hex")

export const drawn = (text: string, rest?: Partial<Sample.Drawn>): Sample.Drawn => ({
  text,
  metadata: {},
  origins: [],
  ...rest
})

export const keyOf = (options: Partial<Identity.Options>, prompt = "p", path: ReadonlyArray<string> = []) =>
  Effect.map(
    Identity.make({ model: "m", temperature: 1, ...options }),
    (identity) => new Key.Key(identity, prompt, path)
  )

/** The folder that the Python original uses: alias, `%.3f` of the temperature without the zeros at its end, SHA-256. */
export const originalFolder = (root: string, alias: string, temperature: string, prompt: string) =>
  Path.join(root, `${alias}_${temperature}`, sha256(prompt))

export const writeOriginal = (folder: string, samples: Record<string, string>) => {
  Fs.mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(samples)) Fs.writeFileSync(Path.join(folder, name), text)
}

/** Records samples of a prompt in a directory. */
export const record = (root: string, prompt: string, n: number, model: LlmModel.Model) =>
  LlmModel.sampleMany(prompt, n).pipe(Effect.provide(Persistent.layer({ directory: root })), using(model))

/** Records the first sample of a prompt in a directory. */
export const sampleOne = (root: string, prompt: string, model: LlmModel.Model) =>
  LlmModel.sampleOne(prompt).pipe(Effect.provide(Persistent.layer({ directory: root })), using(model))

/** Replays samples of a prompt from a directory. */
export const replicate = (root: string, prompt: string, n: number, options?: Partial<Persistent.ReplicationOptions>) =>
  LlmModel.sampleMany(prompt, n).pipe(
    Effect.provide(Persistent.layerReplication({ directory: root, model: "mock", temperature: 1, ...options }))
  )
