import * as Trace from "@llm-cache/core/Trace"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Output } from "../output/Output.ts"
import { jsonLine } from "../output/printable.ts"
import { durationOf, secretFrom, serverFlags, serverOptions, time, turnedOn } from "../server/flags.ts"
import { inspectorPages } from "../server/pages.ts"
import { nextSignal } from "../server/signals.ts"
import { startServer } from "../server/startServer.ts"

export const command = Command.make(
  "serve",
  {
    ...serverFlags,
    port: Flag.Int("port").pipe(
      Flag.withDefault(4141),
      Flag.withDescription("The port, 0 for a free one (default: 4141)")
    ),
    host: Flag.String("host").pipe(
      Flag.withDefault("127.0.0.1"),
      Flag.withDescription("The address to listen at; others than loopback need a token (default: 127.0.0.1)")
    ),
    allowHost: Flag.String("allow-host").pipe(
      Flag.atLeast(0),
      Flag.withMetavar("NAME"),
      Flag.withDescription("A name by which clients reach the server, beside those of loopback")
    ),
    tokenFrom: Flag.String("token-from").pipe(
      Flag.optional,
      Flag.withMetavar("VARIABLE"),
      Flag.withDescription("The environment variable with the token that clients must send as their key")
    ),
    runIdle: time("run-idle", "How long a run may have no request before it ends (default: '24 hours')"),
    noTrace: turnedOn("no-trace", "Write no traces: runs end with the server")
  },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const options = yield* serverOptions(input)
    const { url } = yield* startServer(input.cache, input.slice, {
      ...options,
      port: input.port,
      host: input.host,
      allowHosts: input.allowHost,
      token: Option.isSome(input.tokenFrom) ? yield* secretFrom("token-from", input.tokenFrom.value) : undefined,
      runIdle: yield* durationOf("run-idle", input.runIdle),
      trace: input.noTrace ? false : { directory: Trace.directoryOf(input.cache) }
    }, inspectorPages(input.cache))
    const stopped = nextSignal()
    if (output.isJson) yield* output.data(`${jsonLine({ url })}\n`)
    else {
      yield* output.note(`${url}/v1 is ready: set OPENAI_BASE_URL to it, or ANTHROPIC_BASE_URL to ${url}`)
      yield* output.note(`${url}/inspect shows its runs`)
    }
    yield* Effect.promise(() => stopped)
    const grace = Duration.format(options.grace ?? Duration.seconds(30))
    yield* output.note(`stopping: requests in flight have ${grace}; another signal stops at once`)
  })
).pipe(
  Command.withDescription("Serves a cache to programs in any language, in front of a vendor's server"),
  Command.withExamples([
    {
      command: "llm-cache serve",
      description: "In front of OpenAI and Anthropic; set OPENAI_BASE_URL=http://127.0.0.1:4141/v1"
    },
    {
      command: "llm-cache serve --upstream http://127.0.0.1:11434/v1 --cache paper.db",
      description: "In front of Ollama, with a cache in SQLite"
    },
    { command: "llm-cache serve --replication", description: "Only what the cache has" }
  ])
)
