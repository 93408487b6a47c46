/** Runs the fences that state values. Each begins with a fresh script and an empty home folder. */
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Url from "node:url"
import type { Fence } from "./fence.ts"
import * as Scripted from "./scripted.ts"
import { differenceOf, instrument } from "./statedValues.ts"

const scripted = Url.pathToFileURL(Path.join(import.meta.dirname, "scripted.ts")).href

type Recorded = Map<number, Array<unknown>>

/** Runs the code once in a module of its own. */
const runOnce = async (file: string, run: number): Promise<Recorded> => {
  const recorded: Recorded = new Map()
  const record = (line: number, ...values: ReadonlyArray<unknown>) => {
    recorded.set(line, [...recorded.get(line) ?? [], ...values])
    return values[0]
  }
  Object.assign(globalThis, { record, log: (...args: Parameters<typeof record>) => Effect.sync(() => record(...args)) })
  const { program = Scripted.takeMain() } = await import(`${Url.pathToFileURL(file).href}?run=${run}`) as {
    program?: Effect.Effect<unknown, Error>
  }
  if (program === undefined) throw new Error("states values, but has no effect named `program` to run")
  await Effect.runPromise(program.pipe(Effect.provide(Scripted.layer), Effect.scoped, Effect.timeout("20 seconds")))
  return recorded
}

export interface Outcome {
  /** How many values were compared. */
  readonly values: number
  /** Each with the place that it is about. */
  readonly failures: ReadonlyArray<string>
}

/** Compares the stated values of a fence with those of its program; `file` is where its code may be written. */
export const runFence = async (fence: Fence, file: string): Promise<Outcome> => {
  const at = (line: number) => `${fence.source}:${fence.line + line + 1}`
  const home = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-fence-"))
  const previous = process.cwd()
  try {
    const { code, stated } = instrument(fence.code)
    if (stated.length === 0) return { values: 0, failures: [] }
    const isMain = /\bNodeRuntime\.runMain\b/.test(code)
    Fs.writeFileSync(
      file,
      code.replaceAll(`"@effect/platform-node"`, JSON.stringify(scripted)) + (isMain ? "" : "\nexport { program }\n")
    )
    process.env["HOME"] = home
    process.chdir(home)
    Scripted.restart()
    const first = await runOnce(file, 1)
    const second = stated.some(({ isOfEveryRun }) => isOfEveryRun) ? await runOnce(file, 2) : undefined
    let values = 0
    const failures: Array<string> = []
    for (const one of stated) {
      for (const recorded of one.isOfEveryRun ? [first, second!] : [first]) {
        values += one.values.length
        const difference = differenceOf(one, recorded.get(one.line))
        if (difference !== undefined) {
          failures.push(`${at(one.line)}: ${difference}${recorded === second ? " in the second run" : ""}`)
        }
      }
    }
    return { values, failures }
  } catch (error) {
    return { values: 0, failures: [`${at(0)}: ${String(error)}`] }
  } finally {
    process.chdir(previous)
    Fs.rmSync(home, { recursive: true, force: true })
  }
}
