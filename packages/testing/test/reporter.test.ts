import { assert, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import { vi } from "vitest"
import Reporter, { lineOf } from "../src/Reporter.ts"

const tally = {
  replayed: 41,
  spent: { small: { requests: 2, inputTokens: 1000, outputTokens: 204 } },
  avoided: {
    small: { requests: 20, inputTokens: 18_000, outputTokens: 0 },
    large: { requests: 1, inputTokens: 0, outputTokens: 204 }
  }
}

describe("the line of the reporter", () => {
  it("has the cost if it knows all prices", () => {
    assert.strictEqual(
      lineOf(tally, { small: { input: 1, output: 2 }, large: { input: 10, output: 10 } }),
      "llm-cache  2 requests, 41 replayed; 1,204 tokens spent, 18,204 avoided; cost $0.0014, $0.0200 avoided"
    )
    assert.strictEqual(
      lineOf(tally, { small: { input: 1, output: 2 } }),
      "llm-cache  2 requests, 41 replayed; 1,204 tokens spent, 18,204 avoided"
    )
  })

  const printed = (...modules: Parameters<Reporter["onTestRunEnd"]>[0]) => {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true)
    new Reporter().onTestRunEnd(modules)
    const { calls } = write.mock
    write.mockRestore()
    return calls.join("")
  }

  it("is there if a test had a cassette", () => {
    assert.strictEqual(printed({ meta: () => ({}) }, { task: { meta: {} } }), "")
    assert.strictEqual(
      printed({ meta: () => ({ llmCache: { ...tally, unfinished: [] } }) }),
      "\nllm-cache  2 requests, 41 replayed; 1,204 tokens spent, 18,204 avoided\n"
    )
  })

  it("is followed by the unfinished recordings, each once", () => {
    const file = (name: string) => ({
      meta: () => ({ llmCache: { ...tally, unfinished: [Path.resolve(`${name}.jsonl.partial`)] } })
    })
    assert.match(
      printed(file("a"), file("b"), file("a")),
      /avoided\nUnfinished recordings .* LLM_CACHE_CASSETTES=update .*:\n {2}a.jsonl.partial\n {2}b.jsonl.partial\n$/
    )
  })
})
