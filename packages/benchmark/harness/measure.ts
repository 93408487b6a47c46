/**
 * Measures a row. The cases take turns in rounds, so that noise hits all alike, and ratios are of one round.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Bench } from "tinybench"
import { sampleLength } from "../support/payload.ts"
import type { Case, Row, Setting, TimedCase } from "./row.ts"
import { type Spread, spread } from "./spread.ts"

/** The microseconds of an operation, or other figures, in each round. */
export interface Timed {
  readonly name: string
  readonly role: Case["role"]
  readonly rounds: ReadonlyArray<number>
}

/** The measured cases of a row. */
export class Measured {
  readonly cases: ReadonlyArray<Timed>

  constructor(cases: ReadonlyArray<Timed>) {
    this.cases = cases
  }

  named(name: string): Timed {
    const found = this.cases.find((timed) => timed.name === name)
    if (found === undefined) {
      throw new Error(`no case is named ${name}, but ${this.cases.map(({ name }) => name).join(", ")}`)
    }
    return found
  }

  /** The first case, which the checks measure. */
  get ours(): Timed {
    return this.cases[0]!
  }

  /** The time of a case divided by the time of another one, in each round. */
  ratio(one: Timed, other: Timed): Spread {
    return spread(one.rounds.map((time, i) => time / other.rounds[i]!))
  }
}

/** The milliseconds of a case in one round, rough and fine. */
const [rough, fine] = [15, 60]

export const measure = async (row: Row, quick: boolean): Promise<Measured> => {
  const ends: Array<() => unknown> = []
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-benchmark-"))
  const setting: Setting = { quick, folder, scope: Scope.makeUnsafe(), onEnd: (end) => ends.push(end) }
  try {
    const cases = await row.setup(setting)
    const tasks: Array<{ readonly one: Case; readonly calls: number; readonly rounds: Array<number> }> = []
    for (const one of cases) tasks.push({ one, calls: "gauge" in one ? 1 : await warmUp(row, one, quick), rounds: [] })
    const rounds = quick ? Math.min(row.rounds ?? 5, 5) : row.rounds ?? 12
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < tasks.length; turn++) {
        const { calls, one, rounds } = tasks[(round + turn) % tasks.length]!
        rounds.push("gauge" in one ? await one.gauge() : await time(row, one, calls))
      }
    }
    return new Measured(tasks.map(({ one: { name, role }, rounds }) => ({ name, role, rounds })))
  } finally {
    await Effect.runPromise(Scope.close(setting.scope, Exit.void))
    for (const end of ends.toReversed()) await end()
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

// The number of calls that fill a round.
const warmUp = async (row: Row, one: TimedCase, quick: boolean): Promise<number> => {
  const expected = one.operations * (row.characters ?? sampleLength)
  const now = clockOf(row)
  const call = async () => {
    const start = now()
    const characters = await one.run()
    if (characters !== expected) {
      throw new Error(`${row.name}, ${one.name}: brought ${characters} characters, and not ${expected}`)
    }
    return now() - start
  }
  let last = await call()
  if (row.once) return 1
  const budget = quick ? rough : fine
  for (const start = now(); now() - start < (row.warmUp ?? 4 * budget);) last = await call()
  return Math.max(1, Math.round(budget / last))
}

// The median of some calls, in microseconds of an operation.
const time = async (row: Row, one: TimedCase, calls: number): Promise<number> => {
  const now = clockOf(row)
  const bench = new Bench({ time: 0, iterations: calls, warmup: false, throws: true, retainSamples: true, now })
  bench.add(one.name, () => one.run(), { async: true })
  await bench.run()
  const { result } = bench.tasks[0]!
  if (result.state !== "completed") throw new Error(`${one.name}: ${result.state}`)
  return result.latency.p50 * 1000 / one.operations
}

/** The clock of a row, in milliseconds. */
const clockOf = (row: Row) => row.time === "processor" ? processorTime : () => performance.now()

const processorTime = (): number => {
  const { system, user } = process.cpuUsage()
  return (user + system) / 1000
}
