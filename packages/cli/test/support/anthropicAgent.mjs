// A program that knows Anthropic's client, and nothing of llm-cache.
import Anthropic from "@anthropic-ai/sdk"

const client = new Anthropic()
const settings = { model: "claude", max_tokens: 100, messages: [{ role: "user", content: "Yes or no?" }] }

const votes = []
for (let i = 0; i < 3; i++) {
  const { content } = await client.messages.create(settings)
  votes.push(content[0].text)
}
const pieces = []
const stream = client.messages.stream({ ...settings, system: "Think." }).on("text", (piece) => pieces.push(piece))
const { stop_reason } = await stream.finalMessage()
console.log(votes.join(" "), pieces.join(""), stop_reason)
