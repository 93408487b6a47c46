// A proxy between a store and its server.
import { Effect } from "effect"
import * as Net from "node:net"

/**
 * Passes everything on until a request contains a text. From then on `onAnswer` decides about each answer: it passes it
 * on, drops it, or drops it and breaks the connection, once.
 */
export const lossyProxy = (
  target: string,
  text: string,
  onAnswer: (data: Buffer) => "pass" | "drop" | "break"
) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly broken: () => number; readonly server: Net.Server }>((resume) => {
      const { hostname, port } = new URL(target)
      let broken = 0
      const server = Net.createServer((client) => {
        const upstream = Net.connect(Number(port), hostname)
        let isArmed = false
        client.on("data", (data: Buffer) => {
          isArmed ||= broken === 0 && data.includes(text)
          upstream.write(data)
        })
        upstream.on("data", (data: Buffer) => {
          const reaction = isArmed ? onAnswer(data) : "pass"
          if (reaction === "pass") client.write(data)
          if (reaction !== "break") return
          broken++
          client.destroy()
          upstream.destroy()
        })
        for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
          socket.on("error", () => other.destroy())
          socket.on("close", () => other.destroy())
        }
      })
      server.listen(0, "127.0.0.1", () => {
        const url = new URL(target)
        url.port = String((server.address() as Net.AddressInfo).port)
        resume(Effect.succeed({ url: url.href, broken: () => broken, server }))
      })
    }),
    ({ server }) => Effect.sync(() => server.close())
  )
