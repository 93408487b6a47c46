import * as Fs from "node:fs"
import type * as Net from "node:net"

/** The most open files of this process that are kept for the store and for requests to upstreams. */
const mostReserved = 256

/** How long a refused client may take to send its request and to read the answer, in milliseconds. */
const refusalTime = 1000

/** The open files that a process may have, and has. `undefined` where the system does not tell, as on Windows and macOS. */
const openFiles = (): { readonly limit: number; readonly used: number } | undefined => {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(Fs.readFileSync("/proc/self/limits", "utf8"))?.[1]
    return limit === undefined ? undefined : { limit: Number(limit), used: Fs.readdirSync("/proc/self/fd").length }
  } catch {
    return undefined
  }
}

/**
 * The connections of a server. It refuses those that would take the last files which the process may open: the store could not
 * keep what was paid for, and the system cuts connections without a word.
 */
export class Connections {
  readonly #most: number
  readonly #message: string
  #open = 0
  /** Connections whose clients are being told. They take files, too. */
  #refused = 0
  readonly #mostRefused: number
  #hasTold = false

  readonly #tell: (message: string) => void

  /** `tell` gets the first refusal. */
  constructor(tell: (message: string) => void) {
    this.#tell = tell
    const { limit = Infinity, used = 0 } = openFiles() ?? {}
    const free = Math.max(0, limit - used)
    // Each request may need another connection, to its upstream.
    const reserved = Math.min(mostReserved, Math.ceil(free * 0.7))
    this.#most = Math.max(1, free - reserved)
    this.#mostRefused = Math.ceil(reserved / 8)
    this.#message =
      `the server has ${this.#most} connections, and this process may open ${limit} files: raise the limit ` +
      "by `ulimit -n 65536` before its start, or let clients use their connections again"
  }

  /** Whether the server takes a connection. Otherwise its client is told why not. */
  take(socket: Net.Socket): boolean {
    if (this.#open >= this.#most) {
      this.#refuse(socket)
      return false
    }
    this.#open++
    socket.once("close", () => this.#open--)
    return true
  }

  #refuse(socket: Net.Socket): void {
    if (!this.#hasTold) this.#tell(this.#message)
    this.#hasTold = true
    if (this.#refused >= this.#mostRefused) {
      socket.destroy()
      return
    }
    this.#refused++
    socket.once("close", () => this.#refused--)
    const body = JSON.stringify({
      error: { message: this.#message, type: "server_error", param: null, code: "too_many_connections" }
    })
    const head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n" +
      `connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
    socket.on("error", () => {}).setTimeout(refusalTime, () => socket.destroy())
    // An answer before the request would belong to none.
    socket.once("data", () => socket.end(head + body))
  }
}
