import type { StoreError } from "@llm-cache/core/SampleError"
import * as Trace from "@llm-cache/core/Trace"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { count, nameOfRun, startOfRun } from "./format.ts"

/** After so long without a new line, a run without an end may have been killed. In milliseconds. */
const idle = 60_000

/** A run in a list. */
export interface RunInfo {
  readonly id: string
  readonly name: string
  /** In milliseconds since the epoch; not a number if the name of the file does not say it. */
  readonly startedAt: number
  /** The time of the last write. */
  readonly lastAt: number
  /** `open` runs have no end: they wait, or were killed. */
  readonly state: "running" | "open" | "done" | "failed"
  /** `undefined` if the trace cannot be read. */
  readonly receipt: Trace.Receipt | undefined
  /** Why it cannot be read. */
  readonly problem: string | undefined
}

/** Looks at a run. It reads no more lines than those of a short trace, unless nobody counted them. */
export const infoOf = (run: Trace.Run): Effect.Effect<RunInfo> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const lastAt = yield* Effect.sync(() => Fs.statSync(run.file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    const read: { readonly receipt?: Trace.Receipt; readonly problem?: string } = yield* Effect.match(receiptOf(run), {
      onFailure: ({ message }) => ({ problem: message }),
      onSuccess: (receipt) => ({ receipt })
    })
    return {
      id: run.id,
      name: nameOfRun(run.id),
      startedAt: startOfRun(run.id),
      lastAt,
      state: stateOf(read.receipt, now - lastAt),
      receipt: read.receipt,
      problem: read.problem
    }
  })

/** A summary may lack the last draws: of a program that was killed, for good. A longer trace is not read for them. */
const short = 256 * 1024

const receiptOf = ({ file }: Trace.Run): Effect.Effect<Trace.Receipt, StoreError> =>
  Effect.gen(function*() {
    const last = yield* Trace.lastReceipt(file)
    if (last === undefined) return yield* Trace.receipt(file)
    if ((Fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > short) return last
    return yield* Effect.orElseSucceed(Trace.receipt(file), () => last)
  })

const stateOf = (receipt: Trace.Receipt | undefined, quiet: number): RunInfo["state"] =>
  receipt?.exit === undefined ? quiet < idle ? "running" : "open" : receipt.exit === 0 ? "done" : "failed"

/** A run in one sentence. */
export const verdictOf = (receipt: Trace.Receipt): string => {
  if (receipt.asked === 0) return receipt.failed > 0 ? "Every request failed." : "Nothing was asked."
  if (receipt.isReplay) return "A replay: every sample came from the cache."
  const problems = [
    receipt.missed > 0 && `${receipt.missed} missed`,
    receipt.bought > 0 && `${receipt.bought} bought`,
    receipt.bypassed > 0 && `${receipt.bypassed} by no cache`,
    receipt.racing > 0 && `${receipt.racing} racing`,
    receipt.failed > 0 && `${receipt.failed} failed`
  ].filter((text) => text !== false)
  return `No replay: ${problems.join(", ")}.`
}

/** The lines of a receipt, in plain words. */
export const receiptLines = (receipt: Trace.Receipt): ReadonlyArray<readonly [name: string, value: string]> => [
  ["asked", count(receipt.asked)],
  ["replayed", count(receipt.replayed)],
  ["read again", count(receipt.reread)],
  ["bought", count(receipt.bought)],
  ["missed", count(receipt.missed)],
  ["racing", count(receipt.racing)],
  ["bypassed", count(receipt.bypassed)],
  ["failed requests", count(receipt.failed)],
  ["tokens spent, in", count(receipt.inputTokens)],
  ["tokens spent, out", count(receipt.outputTokens)],
  ["tokens replayed, in", count(receipt.replayedInputTokens)],
  ["tokens replayed, out", count(receipt.replayedOutputTokens)],
  ["a replay", receipt.isReplay ? "yes" : "no"],
  ["trace cut at its limit", receipt.isCut ? "yes" : "no"],
  ["exit code", receipt.exit === undefined ? "none so far" : `${receipt.exit}`]
]

/** A receipt for programs. */
export const receiptJson = ({ exit, ...receipt }: Trace.Receipt): object => ({ ...receipt, exit: exit ?? null })
