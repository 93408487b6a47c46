/** Runs the program of `llm-cache run`. */
import * as Effect from "effect/Effect"
import * as ChildProcess from "node:child_process"
import * as Os from "node:os"

/** How a program ended. */
export interface Ended {
  /** Its exit code, as a shell has it. */
  readonly code: number
  /** Why it did not start. */
  readonly problem?: string
}

const signals = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as const

/** A terminal sends the signals of its keys to the program itself. */
const ofKeys: ReadonlySet<string> = new Set(["SIGINT", "SIGQUIT"])

/**
 * Runs a program with this process's stdin, stdout and stderr. Signals go on to the program. After its end, a signal ends this
 * process.
 */
export const runProgram = (file: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
    const child = ChildProcess.spawn(file, args, { env, stdio: "inherit" })
    let ended: Ended | undefined
    const end = (how: Ended) => {
      ended = how
      resume(Effect.succeed(how))
    }
    for (const signal of signals) {
      process.on(signal, () => {
        if (ended !== undefined) process.exit(ended.code)
        if (!hasTerminal || !ofKeys.has(signal)) child.kill(signal)
      })
    }
    child.on("exit", (code, signal) => end({ code: code ?? 128 + Os.constants.signals[signal!] }))
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return
      const isMissing = error.code === "ENOENT"
      end({
        code: isMissing ? 127 : 126,
        problem: isMissing
          ? `there is no program ${file}: give its path, or a name that is in PATH`
          : `${file} cannot be started (${error.code})`
      })
    })
  })
