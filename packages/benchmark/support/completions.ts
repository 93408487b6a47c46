/**
 * A server of chat completions in a process of its own. It answers each request at once with one sample, and its first line
 * of output is its URL.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { sampleOf } from "./payload.ts"

const answer = Buffer.from(JSON.stringify({
  id: "completion",
  object: "chat.completion",
  created: 1,
  model: "bench",
  choices: [{ index: 0, message: { role: "assistant", content: sampleOf(0) }, finish_reason: "stop", logprobs: null }],
  usage: { prompt_tokens: 256, completion_tokens: 512, total_tokens: 768 }
}))

const server = Http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  request.on("data", () => {})
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length })
    response.end(answer)
  })
})
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
