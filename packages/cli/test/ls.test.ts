import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { example, makeCache, numberHash, wideHash, wordHash } from "./support/caches.ts"
import { cli, objects, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()
const directory = Path.join(folder, "cache")
const sqlite = Path.join(folder, "cache.db")

beforeAll(async () => {
  for (const place of [directory, sqlite]) await makeCache(place, example)
})

const hashes = async (...args: ReadonlyArray<string>) =>
  objects((await cli(["ls", "--cache", sqlite, "--json", ...args])).stdout).map(({ hash }) => hash)

describe("ls of a cache", () => {
  const counts = {
    gpt: { model: "gpt-4o", temperature: 1, parameters: {}, prompts: 2, samples: 7, forks: 2 },
    llama: {
      model: "meta-llama/Llama-3.1-8B-Instruct",
      temperature: null,
      parameters: { max_tokens: 100 },
      prompts: 1,
      samples: 2,
      forks: 0
    }
  }
  const last = "2026-01-02T03:04:05.000Z"

  it("counts the prompts, samples, forks and tokens of each model", async () => {
    const { code, stdout } = await cli(["ls", "--json", "--cache", sqlite])
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(objects(stdout), [
      { ...counts.gpt, inputTokens: 70, outputTokens: 14, last },
      { ...counts.llama, inputTokens: 20, outputTokens: 4, last }
    ])
  })

  it("reads the samples of a directory for their tokens and times", async () => {
    assert.deepStrictEqual(objects((await cli(["ls", "--json", "--cache", directory])).stdout), [
      { ...counts.gpt, inputTokens: 70, outputTokens: 14, last },
      { ...counts.llama, inputTokens: 20, outputTokens: 4, last }
    ])
  })

  it("counts the tokens of a request of several samples once, in a directory as in SQLite", async () => {
    for (const place of [Path.join(folder, "shared"), Path.join(folder, "shared.db")]) {
      const samples = ["92", "747", "131"].map((text, index) => ({
        model: "gpt-4o",
        prompt: "p",
        samples: { [index]: text },
        metadata: { request: "one", index, requestSamples: 3 }
      }))
      await makeCache(place, samples)
      assert.deepInclude(objects((await cli(["ls", "--json", "--cache", place])).stdout)[0], {
        inputTokens: 10,
        outputTokens: 2
      })
    }
  })

  it("writes the fields of an object, separated by tabs, in a pipe", async () => {
    assert.strictEqual(
      (await cli(["ls", "--cache", sqlite])).stdout,
      "gpt-4o\t1\t{}\t2\t7\t2\t70\t14\t2026-01-02T03:04:05.000Z\n" +
        "meta-llama/Llama-3.1-8B-Instruct\t\t{\"max_tokens\":100}\t1\t2\t0\t20\t4\t2026-01-02T03:04:05.000Z\n"
    )
  })

  it("writes columns on a terminal, and shortens them on a narrow one", async () => {
    assert.strictEqual(
      (await terminal(100, ["ls", "--cache", sqlite])).stdout,
      `\
MODEL                                             PROMPTS  SAMPLES  FORKS  TOKENS IN/OUT  LAST
gpt-4o, t=1                                             2        7      2          70/14  2026-01-02
meta-llama/Llama-3.1-8B-Instruct, {"max_tokens"…        1        2      0           20/4  2026-01-02
`
    )
  })

  it("writes a row in several lines on a terminal of 40 columns", async () => {
    assert.strictEqual(
      (await terminal(40, ["ls", "--cache", sqlite])).stdout,
      `\
gpt-4o, t=1
  prompts 2  samples 7  forks 2
  tokens in/out 70/14  last 2026-01-02
meta-llama/Llama-3.1-8B-Instruct, {"max…
  prompts 1  samples 2  forks 0
  tokens in/out 20/4  last 2026-01-02
`
    )
  })

  it("says when a cache has no samples", async () => {
    const empty = Path.join(folder, "empty")
    Fs.mkdirSync(empty)
    const { code, stderr, stdout } = await cli(["ls", "--cache", empty])
    assert.deepStrictEqual([code, stdout], [0, ""])
    assert.include(stderr, "no samples in")
  })
})

describe("ls of a selection", () => {
  it("has a row for each prompt, over all forks", async () => {
    const { stdout } = await cli(["ls", "gpt-4o", "--json", "--cache", directory])
    const rows = objects(stdout)
    assert.deepStrictEqual(rows.find(({ hash }) => hash === numberHash), {
      model: "gpt-4o",
      temperature: 1,
      parameters: {},
      hash: numberHash,
      prompt: "Choose a number between 1 and 1000.",
      samples: 6,
      positions: [0, 1, 2, 4],
      forks: 2
    })
    assert.lengthOf(rows, 2)
  })

  it.each([
    [["*"], [wideHash, numberHash, wordHash]],
    [["gpt*"], [wideHash, numberHash]],
    [["meta-llama/*"], [wordHash]],
    [["*Instruct"], [wordHash]],
    [["gpt-4o, t=1"], [wideHash, numberHash]],
    [["gpt-4o, t=0"], []],
    [[numberHash.slice(0, 4)], [numberHash]],
    [[numberHash.toUpperCase()], [numberHash]],
    [[numberHash, numberHash.slice(0, 8), wordHash], [numberHash, wordHash]],
    [["@4"], [numberHash]],
    [["@1-3"], [numberHash, wordHash]],
    [["gpt-4o", "@1"], [numberHash]],
    [["--fork", "trial-*"], [numberHash]],
    [["--fork", "trial-1/a%2Fb"], [numberHash]],
    [["--fork", "other"], []],
    [["--fork", "", "@0"], [wideHash, numberHash, wordHash]],
    [["--grep", "^Answer\\n"], [wordHash]],
    [["--grep", "数字"], [wideHash]]
  ])("takes models, prompts, positions, forks and texts: %j", async (args, expected) => {
    assert.sameMembers(await hashes(...args), expected)
    assert.strictEqual((await cli(["ls", "--cache", sqlite, ...args])).code, expected.length === 0 ? 1 : 0)
  })

  it("counts only the selected forks and positions", async () => {
    const [row] = objects((await cli(["ls", "--fork", "trial-*/*", "--json", "--cache", sqlite])).stdout)
    assert.deepInclude(row, { samples: 1, positions: [0], forks: 1 })
    const [outside] = objects((await cli(["ls", numberHash, "--fork", "", "--json", "--cache", sqlite])).stdout)
    assert.deepInclude(outside, { samples: 4, forks: 0 })
    const [few] = objects((await cli(["ls", numberHash, "@1-9", "--json", "--cache", sqlite])).stdout)
    assert.deepInclude(few, { samples: 3, positions: [1, 2, 4], forks: 0 })
  })

  it("has every prompt where they are too many to be sorted", async () => {
    const large = Path.join(folder, "large.db")
    const prompts = Array.from({ length: 2100 }, (_, i) => `prompt ${i}`)
    await makeCache(large, prompts.map((prompt) => ({ model: "m", prompt, samples: { 0: "a", 2: "b" } })))
    const rows = objects((await cli(["ls", "m", "@1-9", "--json", "--cache", large])).stdout)
    assert.sameMembers(rows.map(({ prompt }) => prompt), prompts)
    assert.deepInclude(rows[0], { samples: 1, positions: [2], forks: 0 })
  })

  it("fits a terminal, also with wide characters", async () => {
    const wide = await terminal(80, ["ls", "gpt-4o", "--cache", sqlite])
    assert.strictEqual(
      wide.stdout,
      `\
MODEL        HASH      SAMPLES  FORKS  POSITIONS  PROMPT
gpt-4o, t=1  ${numberHash.slice(0, 8)}        6      2  0-2,4      Choose a number between 1 and…
gpt-4o, t=1  ${wideHash.slice(0, 8)}        1      0  0          1から1000までの数字を一つ選ん…
`
    )
    assert.strictEqual(
      (await terminal(40, ["ls", "gpt-4o", "--cache", sqlite])).stdout,
      `\
gpt-4o, t=1
  hash ${numberHash.slice(0, 8)}  samples 6  forks 2
  positions 0-2,4
  prompt Choose a number between 1 and …
gpt-4o, t=1
  hash ${wideHash.slice(0, 8)}  samples 1  forks 0
  positions 0
  prompt 1から1000までの数字を一つ選ん…
`
    )
  })
})
