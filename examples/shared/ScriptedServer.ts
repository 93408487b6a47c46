/**
 * A server on loopback that speaks the protocol of OpenAI's chat completions, and plays the model of the examples of
 * `effect/ai`.
 */
import { LLMock } from "@copilotkit/aimock"
import { Effect } from "effect"

const usage = { prompt_tokens: 60, completion_tokens: 20 }

/** Starts the server, until the scope closes, and gives its `baseUrl`. */
export const start = Effect.acquireRelease(
  Effect.promise(() => LLMock.create({ host: "127.0.0.1", port: 0 })),
  (mock) => Effect.promise(() => mock.stop())
).pipe(Effect.map((mock) => {
  for (const script of [planTrips, readReceipts, tellStory, make24]) script(mock)
  return `${mock.url}/v1`
}))

/** Of chat-agent: two tools at once for each question, and then an answer. */
const planTrips = (mock: LLMock) => {
  const questions = [
    { about: "hike", cities: ["Oslo", "Rome"], answer: "Rome: it is sunny there, and Oslo has rain." },
    { about: "day after", cities: ["Oslo", "Bergen"], answer: "Bergen, then. Oslo stays wet." }
  ]
  for (const { about, answer, cities } of questions) {
    mock.on({ userMessage: about, hasToolResult: false }, () => ({
      toolCalls: cities.map((city) => ({ name: "forecast", arguments: JSON.stringify({ city }) })),
      usage
    }))
    mock.on({ userMessage: about, hasToolResult: true }, () => ({ content: answer, usage }))
  }
}

/** Of structured-extraction: the first reading of the second receipt has a wrong price. */
const readReceipts = (mock: LLMock) => {
  let readings = 0
  const receipts = [
    {
      shop: "Corner Bakery",
      read: () => ({
        shop: "Corner Bakery",
        items: [{ name: "rolls", cents: 240 }, { name: "tea", cents: 310 }],
        total: 550
      })
    },
    {
      shop: "Book Cellar",
      read: () => ({
        shop: "Book Cellar",
        items: [{ name: "atlas", cents: readings++ === 0 ? 1999 : 1900 }, { name: "postcard", cents: 150 }],
        total: 2050
      })
    },
    { shop: "Green Grocer", read: () => ({ shop: "Green Grocer", items: [{ name: "pears", cents: 480 }], total: 480 }) }
  ]
  for (const { read, shop } of receipts) mock.onMessage(shop, () => ({ content: JSON.stringify(read()), usage }))
}

/** Of streaming. */
const tellStory = (mock: LLMock) => {
  const content = "The lamp of the lighthouse had gone out, so the keeper counted the waves aloud until morning. " +
    "Not one ship was lost, and since then the sailors steer by numbers."
  mock.onMessage("lighthouse", () => ({ content, usage }), { latency: 15, chunkSize: 6 })
}

/** Of pass-at-k-of-an-agent: any of some expressions, of which some are right. */
const make24 = (mock: LLMock) => {
  const expressions = [
    "(7 - 8 / 8) * 4",
    "(7 - 4) * 8",
    "8 + 8 + 4 + 7",
    "4 * (7 - 8 / 8)",
    "7 * 4 - 8 + 8",
    "8 * 8 - 4 * 7"
  ]
  mock.onMessage("best expression", ({ messages }) => {
    const call = messages.flatMap((message) => message.tool_calls ?? []).at(-1)
    return { content: call?.function.arguments ?? "{}", usage }
  })
  mock.onMessage("Make 24", () => ({
    toolCalls: [{
      name: "evaluate",
      arguments: JSON.stringify({ expression: expressions[Math.floor(Math.random() * expressions.length)] })
    }],
    usage
  }))
}
