import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { samplesOf } from "./support/listed.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "ai-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
)

/** Runs a program that streams, and kills it at a word of its output, if one is given. */
const run = (directory: string, mode: "wait" | "answer", killAt?: string) =>
  Effect.callback<string>((resume) => {
    const child = ChildProcess.spawn(process.execPath, [
      new URL("support/streaming.ts", import.meta.url).pathname,
      directory,
      mode
    ], { stdio: ["ignore", "pipe", "inherit"] })
    let output = ""
    child.stdout.on("data", (data: Buffer) => {
      output += data.toString()
      if (killAt !== undefined && output.includes(killAt)) child.kill("SIGKILL")
    })
    child.on("close", () => resume(Effect.succeed(output)))
  })

describe("processes", () => {
  it.live("a process that is killed in the middle of a stream leaves nothing, and the next one records it whole", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const store = yield* DirectoryStore.make(directory)
      assert.include(yield* run(directory, "wait", "first"), "first")
      assert.deepStrictEqual(yield* samplesOf(store), [])
      assert.strictEqual(yield* run(directory, "answer"), "first second\n")
      assert.strictEqual((yield* samplesOf(store)).length, 1)
      assert.strictEqual(yield* run(directory, "wait"), "first second\n")
    }))
})
