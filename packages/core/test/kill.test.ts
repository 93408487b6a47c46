import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Crypto from "node:crypto"
import * as Path from "node:path"
import { makeDirectory, readTree } from "./support/directory.ts"
import { makeSample, samplesPerRequest } from "./support/recorder.ts"

const kills = Number(process.env["LLM_CACHE_KILLS"] ?? 6)

interface Seen {
  readonly prompt: string
  readonly position: number
  /** The request, and the index of the sample in it. */
  readonly head: string
}

/** Starts a program that records, and kills it when it has printed so many lines. Returns the lines. */
const recordAndKill = (directory: string, lines: number) =>
  Effect.callback<ReadonlyArray<Seen>>((resume) => {
    const child = ChildProcess.spawn(process.execPath, [
      Path.join(import.meta.dirname, "support/recorder.ts"),
      directory
    ], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      if (output.split("\n").length > lines) child.kill("SIGKILL")
    })
    child.on("close", (_, signal) => {
      assert.strictEqual(signal, "SIGKILL")
      resume(Effect.succeed(output.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Seen)))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Checks the directory: no sample is torn, and none is there twice. Returns the path of each, by its head. */
const inspect = (root: string): ReadonlyMap<string, string> => {
  const heads = new Map<string, string>()
  for (const [path, text] of Object.entries(readTree(root))) {
    if (!path.endsWith(".md")) continue
    const [, request, index] = /^(\S+) (\d)\r\n/.exec(text) ?? []
    assert.strictEqual(text, makeSample(request!, Number(index)), `${path} is torn`)
    assert.isFalse(heads.has(`${request} ${index}`), `${path} is a sample that is elsewhere too`)
    heads.set(`${request} ${index}`, path)
  }
  return heads
}

/** Checks that what was seen is there, where it was seen, with all that came with it. */
const check = (root: string, seen: ReadonlyArray<Seen>, first: Map<string, string>): void => {
  const heads = inspect(root)
  const logged = Object.entries(readTree(root)).filter(([path]) => path.startsWith(".purchases")).join()
  for (const { head, position, prompt } of seen) {
    const path = Path.join("mock_1", Crypto.hash("sha256", prompt), `${position}.md`)
    assert.strictEqual(heads.get(head), path)
    assert.strictEqual(first.get(path) ?? head, head, `${path} has changed`)
    first.set(path, head)
    for (let i = 0; i < samplesPerRequest; i++) {
      const sibling = `${head.split(" ")[0]} ${i}`
      // or in the log, which the next one to write finishes
      assert.isTrue(heads.has(sibling) || logged.includes(JSON.stringify(`${sibling}\r\n`).slice(1, -1)), sibling)
    }
  }
}

it.effect(
  `killed ${kills} times while it records: no sample that was seen is lost, nor another of its request, and none is torn`,
  () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const first = new Map<string, string>()
      for (let kill = 0; kill < kills; kill++) {
        // every other time while it replays what is there, or soon after
        const seen = yield* recordAndKill(root, 1 + Math.floor(Math.random() * 150) * (kill % 2 + 1))
        assert.isAbove(seen.length, 0)
        check(root, seen, first)
      }
    }),
  60_000 + kills * 5_000
)

it.effect(
  "two processes at once that record into one directory, and are killed, see the same samples and lose none",
  () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const first = new Map<string, string>()
      for (let kill = 0; kill < Math.ceil(kills / 2); kill++) {
        const lines = [100, 50].map((most) => 1 + Math.floor(Math.random() * most))
        const seen = yield* Effect.forEach(lines, (most) => recordAndKill(root, most), { concurrency: 2 })
        check(root, seen.flat(), first)
      }
    }),
  60_000 + kills * 5_000
)
