/** Runs the real command as a child process. */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll, afterEach } from "vitest"

export const bin = Path.join(import.meta.dirname, "../../src/main.ts")

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A folder for the tests of a file. */
export const temporaryFolder = (): string => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-cli-"))
  afterAll(() => Fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

const environment = (extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
  // Node.js gives a terminal no colors where `CI` is set.
  const { CI: _, COLUMNS: __, FORCE_COLOR: ___, LLM_CACHE_DIRECTORY: ____, ...inherited } = process.env
  const env = Object.fromEntries(Object.entries(inherited).filter(([name]) => !/^(?:OPENAI|ANTHROPIC)_/.test(name)))
  return { ...env, TZ: "UTC", NO_COLOR: "1", ...extra }
}

const running = new Set<ChildProcess.ChildProcess>()

// A test that fails or takes too long leaves its processes.
afterEach(() => running.forEach(end))
afterAll(() => running.forEach(end))

/** Ends a process with all that it started. */
const end = (child: ChildProcess.ChildProcess): void => {
  try {
    process.kill(-child.pid!, "SIGKILL")
  } catch {
    // It has ended.
  }
}

/** Starts a process that the test does not outlive, nor the processes that it starts. */
export const spawn = (command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) => {
  const child = ChildProcess.spawn(command, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] })
  running.add(child)
  child.on("close", () => running.delete(child))
  return child
}

const run = (command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, env)
    const output = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => void (output[name] += text))
    }
    child.on("error", reject).on("close", (code) => resolve({ code, ...output }))
  })

/** Runs `llm-cache` in pipes. */
export const cli = (args: ReadonlyArray<string>, env?: NodeJS.ProcessEnv): Promise<Ran> =>
  run(process.execPath, [bin, ...args], environment(env))

/** Runs a program without `llm-cache`. */
export const runAlone = ([command, ...args]: ReadonlyArray<string>, env?: NodeJS.ProcessEnv): Promise<Ran> =>
  run(command!, args, environment(env))

/** Runs a line of a shell in which `llm-cache` is the command. */
export const shell = (line: string, env?: NodeJS.ProcessEnv): Promise<Ran> =>
  run("bash", ["-c", `llm-cache() { ${quoted(process.execPath)} ${quoted(bin)} "$@"; }\n${line}`], environment(env))

/** Runs `llm-cache` on a terminal of some columns. Its stdout has what the terminal shows, stderr too. */
export const terminal = async (columns: number, args: ReadonlyArray<string>, env?: NodeJS.ProcessEnv): Promise<Ran> => {
  const line = `stty cols ${columns} rows 50; ${[process.execPath, bin, ...args].map(quoted).join(" ")}`
  // The `script` of Linux; that of macOS takes the command as arguments.
  const parameters = process.platform === "darwin"
    ? ["-q", "/dev/null", "bash", "-c", line]
    : ["-qec", line, "/dev/null"]
  const ran = await run("script", parameters, environment(env))
  return { ...ran, stdout: ran.stdout.replaceAll("\r\n", "\n") }
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** The objects of `--json`. */
export const objects = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))
