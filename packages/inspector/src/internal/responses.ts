import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import { script as scriptText } from "./script.ts"
import { style as styleText } from "./style.ts"
import { visibleJson } from "./visible.ts"

type Response = HttpServerResponse.HttpServerResponse

const headers = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store"
}

const text = (content: string, contentType: string, status = 200): Response =>
  HttpServerResponse.text(content, { status, contentType, headers })

export const page = (content: string, status: number): Response => text(content, "text/html; charset=utf-8", status)

export const json = (value: unknown, status = 200): Response =>
  text(`${visibleJson(value)}\n`, "application/json; charset=utf-8", status)

export const markdown = (content: string, status = 200): Response =>
  text(content, "text/markdown; charset=utf-8", status)

export const style = text(styleText, "text/css; charset=utf-8")

export const script = text(scriptText, "text/javascript; charset=utf-8")

const encoder = new TextEncoder()

/** A stream of changes, each a line, until it ends or the server stops. */
export const events = <E>(changes: Stream.Stream<"change" | "wait", E>, stopping: Effect.Effect<void>): Response =>
  HttpServerResponse.stream(
    changes.pipe(
      Stream.map((change) => change === "change" ? "event: change\ndata:\n\n" : ": waits\n\n"),
      Stream.concat(Stream.succeed("event: end\ndata:\n\n")),
      // A page that cannot be read says so itself.
      Stream.catch(() => Stream.succeed("event: change\ndata:\n\nevent: end\ndata:\n\n")),
      Stream.map((line) => encoder.encode(line)),
      Stream.interruptWhen(stopping)
    ),
    { contentType: "text/event-stream", headers }
  )
