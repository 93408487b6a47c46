// Cassettes in runs of Vitest: recorded once, and replayed in other orders, time zones and numbers of workers.
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { folder } from "./support/disk.ts"
import { contentsOf, fixture, runVitest } from "./support/vitest.ts"

const repeats = Number(process.env["LLM_CACHE_CASSETTE_RUNS"] ?? 4)

const vitest = (variables: Record<string, string | undefined>, ...flags: ReadonlyArray<string>) =>
  runVitest(variables, "agents", ...flags)

it.live("replay in other orders, time zones and numbers of workers, and change no file", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const place = { CASSETTE_FOLDER: directory }
    const recording = yield* vitest(place)
    assert.strictEqual(recording.code, 0, recording.output)
    assert.match(recording.output, /llm-cache {2}\d+ requests, \d+ replayed; [\d,]+ tokens spent, \d+ avoided; cost \$/)
    const recorded = contentsOf(directory)
    assert.strictEqual(recorded.length, 7)

    const replay = { ...place, CASSETTE_MODE: "replay", CASSETTE_REPEATS: String(repeats - 1), CI: "true" }
    for (
      const [zone, ...flags] of [
        ["Asia/Tokyo", "--sequence.shuffle", "--sequence.seed=1"],
        ["America/New_York", "--sequence.shuffle", "--sequence.seed=2", "--maxWorkers=1"],
        ["UTC", "--sequence.concurrent", "--maxWorkers=4"],
        ["Pacific/Apia", "--no-isolate", "--sequence.shuffle", "--sequence.seed=3"],
        ["Asia/Kolkata", "--pool=threads"]
      ]
    ) {
      const { code, output } = yield* vitest({ ...replay, TZ: zone }, ...flags)
      assert.strictEqual(code, 0, output)
      assert.include(output, "llm-cache  0 requests, ")
      assert.deepStrictEqual(contentsOf(directory), recorded)
    }
  }).pipe(Effect.scoped))

it.live("that are missing in CI fail the run, with the command that records them", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const { code, output } = yield* vitest({ CASSETTE_FOLDER: directory, CI: "true" })
    assert.strictEqual(code, 1)
    assert.match(output, /retry-one-\w+\.jsonl, open: there is no such cassette/)
    assert.match(output, /LLM_CACHE_CASSETTES=update npx vitest run .*agents\.cases\.ts/)
    assert.deepStrictEqual(contentsOf(directory), [])
  }).pipe(Effect.scoped))

it.live("are recorded by the command that a miss prints, from other folders and for names with spaces", () =>
  Effect.gen(function*() {
    const { CI: _, NODE_TEST_CONTEXT: __, VITEST: ___, ...environment } = process.env
    const directory = Fs.mkdtempSync(Path.join(import.meta.dirname, "an agent "))
    yield* Effect.addFinalizer(() => Effect.sync(() => Fs.rmSync(directory, { recursive: true })))
    for (const file of ["agent.node.ts", "agents.cases.ts", "vitest.config.ts"]) {
      const content = Fs.readFileSync(Path.join(fixture, file), "utf8")
      Fs.writeFileSync(
        Path.join(directory, file.replace("node", "node.test").replace("cases", "cases.test")),
        content
          .replace("*.cases.ts", "*.cases.test.ts")
      )
    }
    const run = (cwd: string, command: string, more = {}) =>
      ChildProcess.spawnSync("sh", ["-c", command], {
        cwd,
        encoding: "utf8",
        env: { ...environment, NO_COLOR: "1", CASSETTE_FROM: "model", ...more }
      })
    const above = Path.dirname(directory)
    const inIt = Path.basename(directory)
    for (
      const [cwd, command] of [
        [directory, "npx vitest run"],
        [directory, "node --test agent.node.test.ts"],
        [above, `node --test "${inIt}/agent.node.test.ts"`]
      ] as const
    ) {
      const cassettes = { CASSETTE_FOLDER: Path.join(directory, "cassettes") }
      const { stdout } = run(cwd, command, { ...cassettes, CI: "true" })
      const [printed = ""] = /LLM_CACHE_CASSETTES=update .*?\.ts"?/.exec(stdout) ?? []
      const recording = run(cwd, printed, { ...cassettes, CI: "true" })
      assert.strictEqual(recording.status, 0, `${command}\n${printed}\n${recording.stdout}${recording.stderr}${stdout}`)
      assert.isAbove(Fs.readdirSync(cassettes.CASSETTE_FOLDER).length, 0)
      Fs.rmSync(cassettes.CASSETTE_FOLDER, { recursive: true })
    }
  }).pipe(Effect.scoped))

it.live("work under Node's own test runner", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const run = (from: string) =>
      Effect.sync(() => {
        const { CI: _, NODE_TEST_CONTEXT: __, VITEST: ___, ...environment } = process.env
        return ChildProcess.spawnSync(process.execPath, ["--test", Path.join(fixture, "agent.node.ts")], {
          encoding: "utf8",
          env: { ...environment, CASSETTE_FOLDER: directory, CASSETTE_FROM: from }
        })
      })
    for (const from of ["model", "cassette"]) {
      const { status, stderr, stdout } = yield* run(from)
      assert.strictEqual(status, 0, stdout + stderr)
    }
  }).pipe(Effect.scoped))
