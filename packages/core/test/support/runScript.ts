import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"

/** Runs a script of this folder in a process of its own, and returns its output. */
export const runScript = (script: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    const path = Path.join(import.meta.dirname, script)
    const child = ChildProcess.execFile(process.execPath, [path, ...args], (error, stdout, stderr) => {
      assert.strictEqual(error, null, `${stdout}${stderr}`)
      resume(Effect.succeed(stdout))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })
