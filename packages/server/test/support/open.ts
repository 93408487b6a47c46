import { Effect } from "effect"
import * as Http from "node:http"
import { user } from "./server.ts"

/** Opens a response, whose text grows as it is read. */
export const open = (url: string, path: string, body?: object) =>
  Effect.callback<{ readonly response: Http.IncomingMessage; readonly text: () => string }>((resume) => {
    const { hostname, port } = new URL(url)
    const request = Http.request({
      hostname,
      port,
      path,
      agent: false,
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json" }
    }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => void (text += part))
      resume(Effect.succeed({ response, text: () => text }))
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(body === undefined ? undefined : JSON.stringify({ model: "m", messages: user("p"), ...body }))
  })

/** Waits until what was read has something. */
export const until = (response: Http.IncomingMessage, isThere: () => boolean) =>
  Effect.callback<void>((resume) => {
    const check = () => {
      if (isThere()) resume(Effect.void)
    }
    response.on("data", check).on("end", check)
    check()
  })
