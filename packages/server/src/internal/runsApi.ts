import type { Event } from "@llm-cache/core/Events"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type * as Http from "node:http"
import { protocol } from "../ChatCompletions.ts"
import * as Place from "../Place.ts"
import type { Run, Runs } from "../Runs.ts"
import { readBody } from "./body.ts"
import { failureResponse, toFailure } from "./failure.ts"

type Response = HttpServerResponse.HttpServerResponse

/** The runs of the server: `POST` begins one, `GET` shows them and their events, `DELETE` ends one. */
export const runsApi = (
  { runs, stopping }: { readonly runs: Runs; readonly stopping: Effect.Effect<void> },
  incoming: Http.IncomingMessage,
  path: string,
  origin: string
): Effect.Effect<Response> => {
  const [, encoded, part, ...others] = path.split("/")
  const method = incoming.method ?? "GET"
  const handled = Effect.gen(function*(): Effect.fn.Return<Response, StoreError | Parameters<typeof toFailure>[0]> {
    if (encoded === undefined || encoded === "") {
      if (method === "GET") return json(yield* Effect.flatMap(runs.list, Effect.forEach(describe)))
      if (method === "POST") return yield* begin(runs, incoming, origin)
      return fail(405, "the runs take GET and POST", { allow: "GET, POST" })
    }
    const { run: name = "" } = yield* Effect.fromResult(Place.parse(`/run/${encoded}`))
    const run = yield* runs.get(name)
    if (run === undefined || others.length > 0 || (part !== undefined && part !== "events")) {
      return fail(404, `there is no run \`${name.slice(0, 60)}\`: it has ended, or has yet to begin`)
    }
    if (part === "events") {
      return method === "GET"
        ? eventsOf(run, stopping)
        : fail(405, "events take GET", { allow: "GET" })
    }
    if (method === "GET") return json(yield* describe(run))
    if (method !== "DELETE") return fail(405, "a run takes GET and DELETE", { allow: "DELETE, GET" })
    const ended = yield* runs.end(name, exitOf(incoming.url))
    return json({ name, receipt: (ended?.receipt ?? null) as JsonObject | null })
  })
  return handled.pipe(Effect.catch((error) => Effect.succeed(failureResponse(protocol, toFailure(error)))))
}

const json = (value: unknown, status = 200): Response =>
  HttpServerResponse.text(JSON.stringify(value), { status, contentType: "application/json" })

const fail = (status: number, message: string, headers: { readonly [name: string]: string } = {}): Response =>
  failureResponse(protocol, { status, message, headers })

/** The exit code of the run's program, in the query of a `DELETE`. */
const exitOf = (url = ""): number | undefined => {
  const exit = /[?&]exit=(\d{1,3})(?:&|$)/.exec(url)?.[1]
  return exit === undefined ? undefined : Number(exit)
}

const begin = Effect.fnUntraced(function*(runs: Runs, incoming: Http.IncomingMessage, origin: string) {
  const body = yield* readBody(incoming)
  const given = body["name"] ?? undefined
  if (given !== undefined && typeof given !== "string") return fail(400, "`name` is no text")
  const name = given ?? (yield* randomName)
  yield* Effect.fromResult(Place.parse(`/run/${encodeURIComponent(name.toWellFormed())}`))
  if ((yield* runs.get(name)) !== undefined) {
    return fail(409, `the run \`${name.slice(0, 60)}\` goes on: end it by DELETE, or choose another name`)
  }
  const run = yield* runs.use(name)
  const url = `${origin}/run/${encodeURIComponent(name)}`
  return json({ ...(yield* describe(run)), url, independent: `${url}/independent/v1` }, 201)
})

const randomName = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 35), 12),
  (digits) => digits.map((digit) => digit.toString(36)).join("")
)

const describe = ({ lastUsedAt, name, startedAt, trace }: Run) =>
  Effect.map(trace?.receipt ?? Effect.undefined, (receipt) => ({
    name,
    startedAt,
    lastUsedAt,
    trace: trace?.run.file ?? null,
    receipt: receipt ?? null
  }))

const encoder = new TextEncoder()

/** The events of a run from now on, without texts. A slow reader loses the oldest. */
const eventsOf = ({ events }: Run, stopping: Effect.Effect<void>): Response =>
  HttpServerResponse.stream(
    Stream.callback<Uint8Array>(
      (queue) =>
        Effect.andThen(
          Effect.sync(() => Queue.offerUnsafe(queue, encoder.encode(": events\n\n"))),
          events.listen((event) => {
            Queue.offerUnsafe(
              queue,
              encoder.encode(`event: ${event._tag}\ndata: ${JSON.stringify(summaryOf(event))}\n\n`)
            )
          })
        ),
      { bufferSize: 10_000, strategy: "sliding" }
    ).pipe(Stream.interruptWhen(stopping)),
    { contentType: "text/event-stream", headers: { "cache-control": "no-cache" } }
  )

const summaryOf = (event: Event) => ({
  model: event.key.identity.name,
  prompt: event.key.promptHash,
  fork: event.key.path,
  position: event.position,
  ..."request" in event ? { request: event.request } : undefined,
  ..."store" in event ? { store: event.store } : undefined
})
