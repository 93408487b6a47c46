import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"

const bin = Path.join(import.meta.dirname, "../../../cli/src/main.ts")

export interface Process {
  readonly url: string
  readonly kill: (signal: NodeJS.Signals) => void
  /** Its exit code, and its lines on stderr. */
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly stderr: string }>
}

/** `llm-cache serve` in a process of its own, which ends with the scope. */
export const serve = (cache: string, flags: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.callback<Process>((resume) => {
      const args = [bin, "serve", "--port", "0", "--json", "--cache", cache, ...flags]
      const child = ChildProcess.spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })
      let stderr = ""
      const ended = new Promise<{ code: number | null; stderr: string }>((resolve) => {
        child.on("close", (code) => {
          resolve({ code, stderr })
          resume(Effect.die(new Error(`The server ended with ${code}: ${stderr}`)))
        })
      })
      child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
      child.stdout.once("data", (line) =>
        resume(Effect.succeed({
          url: JSON.parse(String(line)).url,
          kill: (signal) => void child.kill(signal),
          ended: Effect.promise(() => ended)
        })))
      return Effect.sync(() => child.kill("SIGKILL"))
    }),
    ({ ended, kill }) => {
      kill("SIGKILL")
      return ended
    }
  )
