import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Crypto from "node:crypto"
import { portableSha256 } from "../src/internal/sha256.ts"
import { runScript } from "./support/runScript.ts"

const hash = (text: string) => Crypto.hash("sha256", text, "hex")

describe("In a browser", () => {
  it.effect("the whole package loads, samples in memory, and says that a directory needs a file system", () =>
    Effect.map(runScript("inBrowser.ts"), (output) => {
      const { log, progress, refused, ...rest } = JSON.parse(output)
      assert.deepStrictEqual(rest, {
        sampled: [["0 0", "0 1"], ["1 0", "1 1"], ["0 0", "0 1"], ["0 0", "0 1"]],
        requests: 2,
        hash: hash("A number?")
      })
      assert.lengthOf(progress, 1)
      assert.match(progress[0], /^0 in flight, 2 requests, .* samples\/s$/)
      assert.match(refused, /no file system.*MemoryStore.*no file system/)
      assert.match(String(log), /2 requested samples could not be stored.*2 of them are lost.*no file system/s)
    }))

  it.effect.prop(
    "SHA-256 is that of Node.js",
    { text: Schema.String },
    ({ text }) => Effect.sync(() => assert.strictEqual(portableSha256(text), hash(text)))
  )

  it.effect("SHA-256 pads texts of every length", () =>
    Effect.sync(() => {
      for (let length = 0; length < 200; length++) {
        const text = "é".repeat(length % 7) + "a".repeat(length)
        assert.strictEqual(portableSha256(text), hash(text))
      }
    }))
})
