/**
 * The least server that replays: it parses each request, and answers with what it has for its messages.
 */
import * as Http from "node:http"
import { sampleLength, sampleOf, sha256 } from "../payload.ts"

const head = { id: "completion", created: 1, model: "bench" }

const eventOf = (delta: object, finish_reason: string | null = null): string =>
  `data: ${
    JSON.stringify({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason }]
    })
  }\n\n`

export const makeBare = (length: number = sampleLength): Http.Server => {
  const sample = sampleOf(0, length)
  const pieces = sample.match(/\s*\S+/g) ?? []
  const message = { role: "assistant", content: sample }
  const completion = {
    ...head,
    object: "chat.completion",
    choices: [{ index: 0, message, finish_reason: "stop", logprobs: null }],
    usage: { prompt_tokens: 256, completion_tokens: 512, total_tokens: 768 }
  }
  const recorded = new Map<string, { readonly answer: object; readonly pieces: ReadonlyArray<string> }>()
  return Http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const { messages, stream } = JSON.parse(Buffer.concat(chunks).toString()) as {
        readonly messages: unknown
        readonly stream?: boolean
      }
      const key = sha256(JSON.stringify(messages))
      let found = recorded.get(key)
      if (found === undefined) recorded.set(key, found = { answer: structuredClone(completion), pieces: [...pieces] })
      if (stream === true) {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write(eventOf({ role: "assistant", content: "" }))
        for (const content of found.pieces) response.write(eventOf({ content }))
        response.write(eventOf({}, "stop"))
        response.end("data: [DONE]\n\n")
        return
      }
      const body = Buffer.from(JSON.stringify(found.answer))
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length })
      response.end(body)
    })
  })
}
