import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { SampleConflict, StoreError } from "@llm-cache/core/SampleError"
import type * as Command from "effect/cli/Command"
import type * as Scope from "effect/Scope"
import type { CacheError, ConflictError, OutputClosed, UsageError } from "./errors.ts"
import type { ImportError } from "./import/item.ts"
import type { Output } from "./output/Output.ts"

/** The failures that a command may end with. Their messages are printed, and `errorCode` has their exit codes. */
export type CommandError =
  | UsageError
  | CacheError
  | ConflictError
  | OutputClosed
  | ImportError
  | InvalidInput
  | StoreError
  | SampleConflict

/** The services of a command. */
export type CommandServices = Output | Scope.Scope | Command.Environment

/** A command of any flags and arguments. */
export type AnyCommand = Command.Command<string, {}, {}, CommandError, CommandServices>

interface Entry {
  /** One line for the list of commands. */
  readonly summary: string
  readonly load: () => Promise<{ readonly command: AnyCommand }>
  /** Whether the command itself says what SIGINT and SIGTERM do. Otherwise they interrupt it. */
  readonly takesSignals: boolean
}

const entry = <Name extends string, Input, ContextInput, E extends CommandError, R extends CommandServices>(
  summary: string,
  load: () => Promise<{ readonly command: Command.Command<Name, Input, ContextInput, E, R> }>,
  takesSignals = false
): Entry => ({ summary, load: load as () => Promise<never>, takesSignals })

/** The commands, in the order of the help. Each is loaded when it is chosen. */
export const commands: { readonly [name: string]: Entry } = {
  ls: entry("Lists the models of a cache, or the prompts of a selection", () => import("./commands/ls.ts")),
  show: entry("Shows samples with their texts", () => import("./commands/show.ts")),
  diff: entry("Compares two caches, position by position", () => import("./commands/diff.ts")),
  verify: entry("Reads every sample, and tells of damage", () => import("./commands/verify.ts")),
  copy: entry("Copies samples to another cache", () => import("./commands/copy.ts")),
  merge: entry("Copies samples to a cache that has some of them", () => import("./commands/merge.ts")),
  "why-miss": entry("Explains why a replication missed", () => import("./commands/whyMiss.ts")),
  stats: entry("Says what a run asked, replayed, requested and missed", () => import("./commands/stats.ts")),
  slice: entry("Copies the samples that a run drew", () => import("./commands/slice.ts")),
  run: entry("Runs a program with the cache beneath its model", () => import("./commands/run.ts"), true),
  serve: entry("Serves a cache to programs in any language", () => import("./commands/serve.ts"), true),
  inspect: entry("Shows runs and samples in the browser", () => import("./commands/inspect.ts"), true),
  runs: entry("Lists runs that have a trace, or deletes old traces", () => import("./commands/runs.ts")),
  import: entry("Puts the samples of other programs into a cache", () => import("./commands/import.ts")),
  export: entry("Writes the samples of a cache as JSON lines", () => import("./commands/export.ts")),
  batch: entry("Fills a cache by the batch endpoint of a provider", () => import("./commands/batch.ts")),
  prune: entry("Deletes samples", () => import("./commands/prune.ts"))
}
