import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import { example, makeCache } from "./support/caches.ts"
import { cli, objects, temporaryFolder } from "./support/cli.ts"

const folder = temporaryFolder()
const directory = Path.join(folder, "cache")
const sqlite = Path.join(folder, "cache.db")

beforeAll(async () => {
  for (const place of [directory, sqlite]) await makeCache(place, example)
})

describe.each(["directory", "sqlite"])("ls of a cache in a %s", (kind) => {
  const ls = (...args: ReadonlyArray<string>) => ["ls", ...args, "--cache", kind === "sqlite" ? sqlite : directory]

  it("counts the prompts, samples, forks and tokens of each model", async () => {
    const { code, stdout } = await cli(ls("--json"))
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(objects(stdout), [
      {
        model: "gpt-4o",
        temperature: 1,
        parameters: {},
        prompts: 2,
        samples: 7,
        forks: 2,
        inputTokens: 70,
        outputTokens: 14,
        last: "2026-01-02T03:04:05.000Z"
      },
      {
        model: "meta-llama/Llama-3.1-8B-Instruct",
        temperature: null,
        parameters: { max_tokens: 100 },
        prompts: 1,
        samples: 2,
        forks: 0,
        inputTokens: 20,
        outputTokens: 4,
        last: "2026-01-02T03:04:05.000Z"
      }
    ])
  })
})
