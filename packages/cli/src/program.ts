/** Runs the command that the arguments name, and ends with its exit code. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import * as Fs from "node:fs"
import { type AnyCommand, commands } from "./commands.ts"
import { errorCode, isSilent, UsageError } from "./errors.ts"
import { Json } from "./flags.ts"
import { layerOutput, Output } from "./output/Output.ts"
import { printable } from "./output/printable.ts"

const name = "llm-cache"

/** The exit codes of every command. */
const codes = { done: 0, usage: 2, bug: 70, interrupted: 130 } as const

export const main = (args: ReadonlyArray<string>): void => {
  // Arguments behind `--` are operands.
  const flags = args.includes("--") ? args.slice(0, args.indexOf("--")) : args
  const chosen = flags.find((arg) => Object.hasOwn(commands, arg) || !arg.startsWith("-"))
  const program = Effect.gen(function*() {
    const root = yield* Effect.promise(() => commandTree(chosen, flags))
    const isUnknown = chosen !== undefined && !flags.includes("--completions") && !Object.hasOwn(commands, chosen)
    // With `--help`, the parser would not say that the command does not exist.
    const parsed = isUnknown ? args.filter((arg) => arg !== "--help" && arg !== "-h") : args
    yield* Command.runWith(root, { version: version() })(parsed)
    return (yield* Output).exitCode()
  }).pipe(
    Effect.catchCause((cause) =>
      Effect.flatMap(Output, (output) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.as(output.progress(undefined), codes.interrupted)
        if (Cause.hasDies(cause)) {
          return Effect.as(output.note(`this is a bug of ${name}: ${Cause.pretty(cause)}`), codes.bug)
        }
        const error = Cause.squash(cause)
        // The reader of the pipe needs no more.
        if (isSilent(error)) return Effect.succeed(output.exitCode())
        const message = error instanceof Error ? error.message : String(error)
        const hint = error instanceof UsageError && chosen !== undefined ? `\nSee ${name} ${chosen} --help` : ""
        return Effect.as(
          isReported(error) ? Effect.void : output.note(`${message}${hint}`),
          isReported(error) ? (error.errors.length === 0 ? codes.done : codes.usage) : errorCode(error)
        )
      })
    ),
    Effect.scoped,
    Effect.provide([
      layerOutput(flags.includes("--json")),
      Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
      CliOutput.layerPresenter(presenter),
      Layer.provideMerge(TerminalCapabilities.layer, NodeServices.layer)
    ])
  )
  const options = {
    disableErrorReporting: true,
    teardown: (exit: Exit.Exit<unknown, unknown>, onExit: (code: number) => void) =>
      onExit(Exit.isSuccess(exit) ? Number(exit.value) : codes.interrupted)
  }
  if (chosen !== undefined && commands[chosen]?.takesSignals) return runWithoutSignals(program, options)
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void Effect.runFork(exitSoon))
  NodeRuntime.runMain(program, options)
}

const runWithoutSignals = Runtime.makeRunMain(({ fiber, teardown }) =>
  fiber.addObserver((exit) => teardown(exit, (code) => process.exit(code)))
)

// Some waits outlast an interruption: a silent PostgreSQL gets five seconds to cancel a statement.
const exitSoon = Effect.andThen(Effect.sleep("2 seconds"), Effect.sync(() => process.exit(codes.interrupted)))

const version = (): string => JSON.parse(Fs.readFileSync(new URL("../package.json", import.meta.url), "utf8")).version

// Completions describe the flags of every command. Otherwise only the chosen one is loaded.
const commandTree = async (chosen: string | undefined, flags: ReadonlyArray<string>) => {
  const isComplete = flags.some((arg) => arg.startsWith("--completions"))
  const subcommands = await Promise.all(
    Object.entries(commands).map(async ([name, { load, summary }]): Promise<AnyCommand> =>
      isComplete || name === chosen
        ? (await load()).command
        : Command.make(name).pipe(Command.withDescription(summary)) as AnyCommand
    )
  )
  return Command.make(name).pipe(
    Command.withDescription("Looks into caches of samples, compares, copies and merges them"),
    Command.withGlobalFlags([Json]),
    Command.withSubcommands(subcommands)
  )
}

const isReported = (error: unknown): error is { readonly errors: ReadonlyArray<unknown> } =>
  error instanceof Error && "_tag" in error && error._tag === "ShowHelp"

const presenter: CliOutput.Presenter = {
  present: (event) =>
    Effect.gen(function*() {
      const { canColor: colors } = yield* TerminalCapabilities.TerminalCapabilities
      const output = yield* Effect.serviceOption(Output)
      if (output._tag === "None") return
      switch (event._tag) {
        case "Help":
          return yield* output.value.data(`${CliOutput.defaultFormatter({ colors }).formatHelpDoc(event.helpDoc)}\n`)
        case "Version":
          return yield* output.value.data(`${event.version}\n`)
        case "InvalidInvocation": {
          const messages = event.errors.map(({ message }) => printable(message, { lines: true }))
          return yield* output.value.note(`${messages.join("\n")}\nSee ${event.commandPath.join(" ")} --help`)
        }
      }
    }).pipe(Effect.ignore)
}
