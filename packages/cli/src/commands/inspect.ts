import { SampleStore } from "@llm-cache/core/SampleStore"
import * as Trace from "@llm-cache/core/Trace"
import * as Inspector from "@llm-cache/inspector/Inspector"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { openCache } from "../cache/openCache.ts"
import { CacheError, UsageError } from "../errors.ts"
import * as flags from "../flags.ts"
import { Output } from "../output/Output.ts"
import { jsonLine } from "../output/printable.ts"
import { findRun, runArgument } from "../run/findRun.ts"
import { turnedOn } from "../server/flags.ts"
import { inspectorPages } from "../server/pages.ts"
import { nextSignal } from "../server/signals.ts"
import { startServer } from "../server/startServer.ts"

export const command = Command.make(
  "inspect",
  {
    run: runArgument.pipe(Argument.optional),
    open: turnedOn("open", "Open the page in the browser"),
    file: Flag.String("file").pipe(
      Flag.optional,
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write the page of the run into this file, which opens without a server")
    ),
    port: Flag.Int("port").pipe(
      Flag.withDefault(0),
      Flag.withDescription("The port of loopback for the pages (default: a free one)")
    ),
    cache: flags.cache
  },
  Effect.fnUntraced(function*({ cache, file, open, port, run }) {
    const output = yield* Output
    const found = Option.isSome(run) ? yield* findRun(cache, run.value) : undefined
    if (Option.isSome(file)) {
      if (found === undefined) {
        return yield* new UsageError({
          message: "say which run the file shows: llm-cache inspect last --file run.html"
        })
      }
      const store = yield* openCache(cache, "look")
      const page = yield* Effect.provideService(
        Inspector.file(found, { directory: Trace.directoryOf(cache) }),
        SampleStore,
        store
      )
      yield* writeFile(file.value, page)
      if (open) yield* openInBrowser(file.value)
      return yield* output.summary({ file: file.value, run: found.id }, `wrote ${file.value}`)
    }
    // As a server in replication it reads, and has the rules for hosts and origins.
    const { url } = yield* startServer(
      cache,
      Option.none(),
      { port, replication: true, trace: false },
      inspectorPages(cache),
      "look"
    )
    const stopped = nextSignal()
    const page = `${url}/inspect${found === undefined ? "" : `/runs/${encodeURIComponent(found.id)}`}`
    if (output.isJson) yield* output.data(`${jsonLine({ url: page })}\n`)
    else yield* output.note(`${page} shows ${found === undefined ? "the runs" : found.id}; Ctrl-C ends it`)
    if (open) yield* openInBrowser(page)
    yield* Effect.promise(() => stopped)
  })
).pipe(
  Command.withDescription("Shows runs and samples in the browser"),
  Command.withExamples([
    { command: "llm-cache inspect --open", description: "The runs of the default cache" },
    { command: "llm-cache inspect last --open", description: "The last run, also while it goes on" },
    { command: "llm-cache inspect last --file run.html", description: "One file, to send to somebody" }
  ])
)

const writeFile = (path: string, text: string): Effect.Effect<void, CacheError> =>
  Effect.try({
    try: () => Fs.writeFileSync(path, text, { mode: 0o600 }),
    catch: (cause) =>
      new CacheError({
        message: `${path} cannot be written: ${(cause as Error).message}. Give another path with --file`
      })
  })

const openers: { readonly [platform: string]: string } = { darwin: "open", win32: "explorer" }

/** Without a browser, the person opens the address that is printed. */
const openInBrowser = (address: string): Effect.Effect<void, never, Output> =>
  Effect.flatMap(Output, ({ note }) => {
    const program = openers[process.platform] ?? "xdg-open"
    return Effect.callback<void>((resume) => {
      const child = ChildProcess.spawn(program, [address], { stdio: "ignore", detached: true })
      child.on("spawn", () => {
        child.unref()
        resume(Effect.void)
      })
      child.on("error", () => resume(note(`there is no program ${program}: open ${address} in a browser`)))
    })
  })
