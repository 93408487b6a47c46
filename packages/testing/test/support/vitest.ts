// Runs of Vitest on the tests of a folder.
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

export const fixture = Path.join(import.meta.dirname, "../fixture")

/** Runs Vitest on files of the fixture, outside of CI, and returns its output without colours. */
export const runVitest = (variables: Record<string, string | undefined>, ...args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const { CI: _, VITEST: __, ...environment } = process.env
    const child = ChildProcess.spawn(
      Path.join(import.meta.dirname, "../../node_modules/.bin/vitest"),
      ["run", "--config", Path.join(fixture, "vitest.config.ts"), ...args],
      { cwd: fixture, env: { ...environment, NO_COLOR: "1", ...variables } }
    )
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
    child.on("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill())
  })

export const contentsOf = (directory: string) =>
  Fs.readdirSync(directory).sort().map((file) => [file, Fs.readFileSync(Path.join(directory, file), "utf8")])
