import * as Duration from "effect/Duration"
import * as Http from "node:http"
import type * as Net from "node:net"
import { Connections } from "./connections.ts"
import type { Shortcut } from "./shortcut.ts"

/** Clients keep connections for a minute at most, and the server never closes one before them. */
const keepAlive = Duration.minutes(2)

/** Leads each request to a shortcut, before the listener of Effect's server gets it. */
export class HttpServerWithShortcut extends Http.Server {
  readonly #shortcut: Shortcut
  readonly #connections: Connections

  constructor(shortcut: Shortcut, warn: (message: string) => void) {
    super({ keepAliveTimeout: Duration.toMillis(keepAlive) })
    this.#shortcut = shortcut
    this.#connections = new Connections(warn)
  }

  // Java's client asks for HTTP/2 with its first request. Node reads the body of a request only where nobody upgrades.
  override listenerCount(event: string | symbol): number {
    return event === "upgrade" ? 0 : super.listenerCount(event)
  }

  override emit(event: string, ...values: ReadonlyArray<unknown>): boolean {
    if (event === "connection" && !this.#connections.take(values[0] as Net.Socket)) return true
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
