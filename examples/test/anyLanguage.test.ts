import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as ChatServer from "../shared/ChatServer.ts"

const programs = Path.join(import.meta.dirname, "../any-language")
const bin = Path.join(import.meta.dirname, "../../packages/cli/src/main.ts")

const llmCache = (args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resume) => {
    const { OPENAI_API_BASE: _, OPENAI_API_KEY: __, OPENAI_BASE_URL: ___, ...env } = process.env
    const child = ChildProcess.execFile(process.execPath, [bin, ...args], { env }, (error, stdout, stderr) => {
      resume(Effect.succeed({ code: Number(error?.code ?? 0), stdout, stderr }))
    })
    return Effect.sync(() => child.kill())
  })

const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-example-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

for (const program of [["python3", "agent.py"], ["python3", "vote.py"], ["node", "vote.mjs"]] as const) {
  it.live(
    `any-language: the second run of ${program[1]} prints the same, and asks nothing`,
    () =>
      Effect.gen(function*() {
        const directory = yield* makeDirectory
        const { first, sent } = yield* Effect.gen(function*() {
          const { baseUrl, requests } = yield* ChatServer.ChatServer
          const flags = ["--cache", directory, "--upstream", baseUrl, "--json"]
          const first = yield* llmCache(["run", ...flags, "--", program[0], Path.join(programs, program[1])])
          return { first, sent: requests.length }
        }).pipe(Effect.provide(Layer.fresh(ChatServer.layer())))
        assert.strictEqual(first.code, 0, first.stderr)
        assert.isAtLeast(sent, 2)
        assert.deepInclude(JSON.parse(first.stderr), { bought: sent, missed: 0, isReplay: false })
        // The server of the model is gone.
        const flags = ["--cache", directory, "--replication", "--json"]
        const second = yield* llmCache(["run", ...flags, "--", program[0], Path.join(programs, program[1])])
        assert.strictEqual(second.stdout, first.stdout)
        assert.deepInclude(JSON.parse(second.stderr), { bought: 0, missed: 0, isReplay: true })
      }),
    60_000
  )
}
