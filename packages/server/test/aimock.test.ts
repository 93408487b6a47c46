import Anthropic, { APIError } from "@anthropic-ai/sdk"
import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory, makeServer } from "./support/server.ts"

/** A provider that others wrote. */
const aimock = Effect.acquireRelease(
  Effect.promise(async () => {
    const mock = new LLMock({ port: 0 })
    mock.onMessage(/./, { content: "From the mock." })
    await mock.start()
    return mock
  }),
  (mock) => Effect.promise(() => mock.stop())
)

describe("aimock as an upstream of Anthropic's protocol", () => {
  it.live("is asked once for a message, whole or streamed, and each time for what is not cached", () =>
    Effect.gen(function*() {
      const mock = yield* aimock
      const directory = yield* makeDirectory
      const server = yield* makeServer({
        upstreams: [{ name: "anthropic", url: mock.url }],
        trace: { directory }
      })
      const message: Anthropic.MessageCreateParamsNonStreaming = {
        model: "claude",
        max_tokens: 9,
        messages: [{ role: "user", content: "Hello." }]
      }
      const receipts: Array<unknown> = []
      for (const run of ["one", "two"]) {
        const client = new Anthropic({
          apiKey: "sk-ant-test-key",
          baseURL: `${server.url}/run/${run}/independent`,
          maxRetries: 0
        })
        const whole = yield* Effect.promise(() => client.messages.create(message))
        const streamed = yield* Effect.promise(() => client.messages.stream(message).finalText())
        assert.deepInclude(whole.content[0], { type: "text", text: "From the mock." })
        assert.strictEqual(streamed, "From the mock.")
        yield* Effect.promise(() =>
          client.beta.files.list().catch((error: unknown) => {
            assert.instanceOf(error, APIError)
          })
        )
        const { json } = yield* server.send(`/llm-cache/runs/${run}`, { method: "DELETE" })
        const { asked, bought, bypassed, isReplay, replayed } = json.receipt
        receipts.push({ asked, bought, bypassed, isReplay, replayed })
      }
      assert.deepStrictEqual(receipts, [
        { asked: 3, bought: 2, bypassed: 1, isReplay: false, replayed: 0 },
        { asked: 3, bought: 0, bypassed: 1, isReplay: false, replayed: 2 }
      ])
      assert.deepStrictEqual(
        mock.getRequests().map(({ path }) => path).filter((path) => path === "/v1/messages"),
        ["/v1/messages", "/v1/messages"]
      )
      const traces = Fs.globSync(".runs/*.jsonl", { cwd: directory })
      assert.strictEqual(traces.length, 2)
      for (const trace of traces) {
        assert.match(Fs.readFileSync(Path.join(directory, trace), "utf8"), /"bypass".*\/files/)
      }
    }))
})
