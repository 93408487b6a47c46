/**
 * A server of chat completions in a process of its own. It answers each request at once with one sample, of the length in its
 * argument, and its first line of output is its URL. Of a stream, the first piece comes at once, and the others later.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { sampleLength, sampleOf } from "./payload.ts"

const sample = sampleOf(0, Number(process.argv[2] ?? sampleLength))

/** In milliseconds. */
const pause = 5

const head = { id: "completion", created: 1, model: "bench" }

const answer = Buffer.from(JSON.stringify({
  ...head,
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: sample }, finish_reason: "stop", logprobs: null }],
  usage: { prompt_tokens: 256, completion_tokens: 512, total_tokens: 768 }
}))

const event = (delta: object, finish_reason: string | null = null): string =>
  `data: ${
    JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })
  }\n\n`

const [first = "", ...others] = sample.match(/\s*\S+/g) ?? []
const firstEvent = event({ role: "assistant", content: first })
const otherEvents = [...others.map((content) => event({ content })), event({}, "stop"), "data: [DONE]\n\n"].join("")

const server = Http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  let isStreamed = false
  request.on("data", (chunk: Buffer) => {
    if (chunk.includes(`"stream":true`)) isStreamed = true
  })
  request.on("end", () => {
    if (isStreamed) {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.write(firstEvent)
      setTimeout(() => response.end(otherEvents), pause)
      return
    }
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length })
    response.end(answer)
  })
})
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
