import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import type { Instruction, Line } from "./processProtocol.ts"

/** A process that uses a store. */
export interface Process {
  readonly pid: number
  /** Its output so far. */
  readonly lines: ReadonlyArray<Line>
  /** Waits until the output satisfies a condition. Dies if the process ends before. */
  readonly when: (holds: (lines: ReadonlyArray<Line>) => boolean) => Effect.Effect<void>
  /** Starts its task. */
  readonly go: Effect.Effect<void>
  /** Tells it to stop. */
  readonly stop: Effect.Effect<void>
  /** Waits until it ends by itself. Dies if it failed. */
  readonly done: Effect.Effect<void>
  /** Kills it, and waits for its end. */
  readonly kill: Effect.Effect<void>
}

// The worker is TypeScript in the sources, and JavaScript in the compiled package.
const worker = fileURLToPath(
  new URL(`./processWorker${Path.extname(new URL(import.meta.url).pathname)}`, import.meta.url)
)

/** Starts a process with the store of a module, and kills it when the scope closes. */
export const spawn = (
  module: URL,
  place: string,
  instruction: Instruction
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => start(module, place, instruction)), ({ kill }) => kill)

const start = (module: URL, place: string, instruction: Instruction): Process => {
  const child = ChildProcess.spawn(process.execPath, [worker, module.href, JSON.stringify(instruction)], {
    env: { ...process.env, LLM_CACHE_TEST_PLACE: place }
  })
  const lines: Array<Line> = []
  const listeners = new Set<() => void>()
  let [rest, errors, end] = ["", "", undefined as string | undefined]
  const changed = () => {
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const complete = `${rest}${chunk}`.split("\n")
    rest = complete.pop()!
    for (const line of complete) lines.push(JSON.parse(line) as Line)
    changed()
  })
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => errors += chunk)
  // A write to a dead process fails, which is no error of the test.
  child.stdin.on("error", () => {})
  child.on("error", (cause) => errors += String(cause))
  child.on("close", (code, signal) => {
    end = `ended with ${signal ?? code}`
    changed()
  })
  const waitFor = (check: () => Effect.Effect<void> | undefined) =>
    Effect.callback<void>((resume) => {
      const listener = () => {
        const result = check()
        if (result === undefined) return
        listeners.delete(listener)
        resume(result)
      }
      listeners.add(listener)
      listener()
      return Effect.sync(() => listeners.delete(listener))
    })
  const broken = () =>
    Effect.die(new Error(`A process of the test ${end}: ${errors || JSON.stringify(lines.slice(-3))}`))
  const when: Process["when"] = (holds) =>
    waitFor(() => holds(lines) ? Effect.void : end === undefined ? undefined : Effect.suspend(broken))
  return {
    pid: child.pid ?? 0,
    lines,
    when,
    go: Effect.sync(() => void child.stdin.write("\n")),
    stop: Effect.sync(() => void child.stdin.end()),
    done: waitFor(() => end === undefined ? undefined : end === "ended with 0" ? Effect.void : Effect.suspend(broken)),
    kill: Effect.suspend(() => {
      child.kill("SIGKILL")
      return waitFor(() => end === undefined ? undefined : Effect.void)
    })
  }
}
