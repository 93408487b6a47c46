import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { vi } from "vitest"
import Reporter, { lineOf } from "../src/Reporter.ts"
import { folder } from "./support/disk.ts"

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

  it.effect("is followed by the unfinished recordings that are still there, each once", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const recording = (name: string) => Path.join(directory, `${name}.jsonl.partial`)
      for (const name of ["a", "b"]) Fs.writeFileSync(recording(name), "")
      const module = (name: string) => ({ meta: () => ({ llmCache: { ...tally, unfinished: [recording(name)] } }) })
      assert.strictEqual(
        printed(module("a"), module("b"), module("a"), module("finished")).replace(/^.*avoided\n/s, ""),
        "Unfinished recordings of tests that failed. LLM_CACHE_CASSETTES=update goes on with them; to pay again, delete them:\n" +
          `  ${recording("a")}\n  ${recording("b")}\n`
      )
      assert.match(printed(module("finished")), /^\n.*avoided\n$/)
    }))
})
