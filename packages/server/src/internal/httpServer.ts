import * as Duration from "effect/Duration"
import * as Http from "node:http"
import type { Shortcut } from "./shortcut.ts"

/** Clients keep connections for a minute at most, and the server never closes one before them. */
const keepAlive = Duration.minutes(2)

/** Leads each request to a shortcut, before the listener of Effect's server gets it. */
export class HttpServerWithShortcut extends Http.Server {
  readonly #shortcut: Shortcut

  constructor(shortcut: Shortcut) {
    super({ keepAliveTimeout: Duration.toMillis(keepAlive) })
    this.#shortcut = shortcut
  }

  override emit(event: string, ...values: ReadonlyArray<unknown>): boolean {
    if (event !== "request") return super.emit(event, ...values)
    const [incoming, response] = values as [Http.IncomingMessage, Http.ServerResponse]
    // Node closes only the idle connections when the server stops. Others become idle later.
    response.on("close", () => {
      if (!this.listening) setImmediate(() => this.closeIdleConnections())
    })
    this.#shortcut(incoming, response, () => super.emit(event, incoming, response))
    return true
  }
}
