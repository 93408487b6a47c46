import { Identity, Key, Trace } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { within } from "../harness/checks.ts"
import type { Row, Setting } from "../harness/row.ts"
import { install } from "../support/installed.ts"

const draws = 1_000_000

/** Writes a trace of a million replayed draws, and returns the id of its run. */
const writeTrace = (directory: string, keys: number): Promise<string> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const identity = yield* Identity.make({ model: "gpt-4o", temperature: 1 })
    const { listener, run } = yield* Trace.make({ directory, name: `${keys}` })
    const metadata = { index: 0, inputTokens: 20, outputTokens: 5, elapsed: 1 }
    for (let i = 0; i < draws; i++) {
      const number = i % keys
      listener({
        _tag: "Hit",
        key: new Key.Key(identity, `Question ${number}`, [`worker-${number % 7}`]),
        position: Math.floor(i / keys),
        store: `directory ${directory}`,
        sample: { text: "An answer.", metadata: { ...metadata, request: `request-${i}` } },
        waited: false
      })
    }
    return run.id
  })))

/** Starts the installed command, and returns its process and the URL of its pages. */
const inspect = async ({ folder, onEnd }: Setting, directory: string) => {
  const main = Path.join(folder, "node_modules/@llm-cache/cli/dist/main.js")
  const child = spawn(process.execPath, [main, "--json", "inspect", "--cache", directory], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  onEnd(() => child.kill())
  const [line] = await once(child.stdout, "data") as [Buffer]
  const { url }: { readonly url: string } = JSON.parse(line.toString())
  return { child, origin: new URL(url).origin }
}

const textOf = async (url: string): Promise<string> => (await fetch(url)).text()

/** The most memory that a process has had, in MB. */
const peakOf = ({ pid }: ChildProcess): number =>
  Number(/VmHWM:\s+(\d+) kB/.exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1000

const setup = async (setting: Setting, keys: number) => {
  const { folder } = setting
  if (!Fs.existsSync(Path.join(folder, "node_modules"))) {
    install(folder, ["core", "sqlite", "sql", "redis", "providers", "server", "inspector", "cli"])
  }
  const directory = Path.join(folder, `cache-${keys}`)
  const run = await writeTrace(directory, keys)
  return { directory, page: `/inspect/runs/${encodeURIComponent(run)}` }
}

const notRun = () => process.platform === "linux" ? undefined : "the peak of a process is read from /proc"

export const inspectorPaint: Row = {
  name: "inspector",
  title: "the page of a run of a million draws, from a command just started",
  operation: "the page",
  once: true,
  rounds: 5,
  checks: [within(500_000)],
  setup: async (setting) => {
    const { directory, page } = await setup(setting, 1000)
    return [{
      name: "the page",
      role: "ours",
      gauge: async () => {
        const { child, origin } = await inspect(setting, directory)
        const begin = performance.now()
        await textOf(origin + page)
        const elapsed = performance.now() - begin
        child.kill()
        return elapsed * 1000
      }
    }]
  }
}

export const inspectorMemory: Row = {
  name: "inspector-memory",
  title: "the process of `llm-cache inspect` at its peak, after it read a run of a million draws",
  operation: "the process",
  unit: "MB",
  once: true,
  rounds: 1,
  checks: [within(150, "", "MB")],
  note:
    "Of 500,000 prompts, runs differ: at their peaks they took 140 to 167 MB, and 140 MB afterwards. Half of it is Node's own program.",
  notRun,
  setup: async (setting) => {
    const memory = async (keys: number) => {
      const { directory, page } = await setup(setting, keys)
      return {
        name: `${keys.toLocaleString("en-US")} prompts`,
        role: "ours" as const,
        gauge: async () => {
          const { child, origin } = await inspect(setting, directory)
          while ((await textOf(origin + page)).includes("Reading the trace")) await sleep(100)
          const peak = peakOf(child)
          child.kill()
          return peak
        }
      }
    }
    return [await memory(1000), await memory(500_000)]
  }
}
