import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { hashOf, makeCache, numberHash, numberPrompt, type Sequence } from "./support/caches.ts"
import { cli, objects, shell, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()
const a = Path.join(folder, "a")
const b = Path.join(folder, "b.db")
const same = Path.join(folder, "same.db")

const ofA: ReadonlyArray<Sequence> = [
  { model: "gpt-4o", temperature: 1, prompt: numberPrompt, samples: { 0: "92", 1: "747", 2: "131", 5: "16" } },
  { model: "gpt-4o", temperature: 1, prompt: numberPrompt, fork: ["trial-1"], samples: { 0: "808" } }
]

beforeAll(async () => {
  await makeCache(a, ofA)
  await makeCache(same, ofA)
  await makeCache(b, [
    { model: "gpt-4o", temperature: 1, prompt: numberPrompt, samples: { 0: "92", 1: "7", 2: "8", 3: "9" } },
    { model: "o3", prompt: "Another prompt", samples: { 0: "x" } }
  ])
})

describe("diff", () => {
  const key = { model: "gpt-4o", temperature: 1, parameters: {}, fork: [], hash: numberHash }

  it("has a row for each position with a difference, and a summary", async () => {
    const { code, stderr, stdout } = await cli(["diff", a, b, "gpt-4o", "--json"])
    assert.deepStrictEqual([code, stderr], [1, ""])
    assert.deepStrictEqual(objects(stdout), [
      { kind: "different", ...key, position: 1 },
      { kind: "different", ...key, position: 2 },
      { kind: "onlyB", ...key, position: 3 },
      { kind: "onlyA", ...key, position: 5 },
      { kind: "onlyA", ...key, fork: ["trial-1"], position: 0 },
      { kind: "summary", same: 1, onlyA: 2, onlyB: 1, different: 2, damaged: 0 }
    ])
  })

  it("has the keys of both caches", async () => {
    const { stdout } = await cli(["diff", a, b, "--json"])
    assert.deepInclude(objects(stdout), {
      kind: "onlyB",
      model: "o3",
      temperature: null,
      parameters: {},
      fork: [],
      hash: hashOf("Another prompt"),
      position: 0
    })
  })

  it("ends with exit code 0 if the caches have the same samples, in stores of different kinds", async () => {
    const { code, stderr, stdout } = await cli(["diff", a, same])
    assert.deepStrictEqual([code, stdout], [0, ""])
    assert.include(stderr, "5 the same, 0 only in A, 0 only in B, 0 different")
  })

  it("compares only what is selected", async () => {
    const { code, stdout } = await cli(["diff", a, b, "gpt-4o", "@0", "--fork", "", "--json"])
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(objects(stdout), [
      { kind: "summary", same: 1, onlyA: 0, onlyB: 0, different: 0, damaged: 0 }
    ])
  })

  it("shows neighbours as a range on a terminal", async () => {
    const hash = numberHash.slice(0, 8)
    assert.strictEqual(
      (await terminal(80, ["diff", a, b, "gpt-4o"])).stdout,
      `\
DIFFERENCE  MODEL        FORK     HASH      POSITIONS
different   gpt-4o, t=1           ${hash}  1-2
only in B   gpt-4o, t=1           ${hash}  3
only in A   gpt-4o, t=1           ${hash}  5
only in A   gpt-4o, t=1  trial-1  ${hash}  0
llm-cache: 1 the same, 2 only in A, 1 only in B, 2 different
`
    )
  })

  it("has both texts with --text: word by word on a terminal, and as fields", async () => {
    const [mine, theirs] = ["mine.db", "theirs.db"].map((name) => Path.join(folder, name)) as [string, string]
    const sequence = { model: "m", prompt: "p", fork: ["f"] }
    const texts = ["The sea keeps\nevery name.\x1b[2J", "The sea keeps\nno names.\x1b[2J"] as const
    await makeCache(mine, [{ ...sequence, samples: { 0: texts[0], 1: "a" } }])
    await makeCache(theirs, [{ ...sequence, samples: { 0: texts[1] } }])
    const [row, ...others] = objects((await cli(["diff", mine, theirs, "--text", "--json"])).stdout)
    assert.deepInclude(row, { kind: "different", position: 0, textA: texts[0], textB: texts[1] })
    assert.isUndefined(others[0]?.["textA"])
    const hash = hashOf("p").slice(0, 8)
    assert.strictEqual(
      (await terminal(80, ["diff", mine, theirs, "--text"])).stdout,
      `\
different  m, fork f, prompt ${hash} @0
  The sea keeps
  [-every-]{+no+} [-name-]{+names+}.\\u001b[2J
only in A  m, fork f, prompt ${hash} @1
llm-cache: 0 the same, 1 only in A, 0 only in B, 1 different
`
    )
    const colored = await terminal(80, ["diff", mine, theirs, "--text"], { NO_COLOR: undefined, TERM: "xterm" })
    assert.include(colored.stdout, "\x1b[31m[-every-]\x1b[39m")
    assert.notInclude(colored.stdout, "\x1b[2J")
  })

  it("tells of damage, and compares the rest", async () => {
    const damaged = Path.join(folder, "damaged")
    await makeCache(damaged, ofA)
    Fs.writeFileSync(Fs.globSync(`${damaged}/**/1.md`)[0]!, "changed")
    const { code, stderr, stdout } = await cli(["diff", damaged, same, "--json"])
    assert.deepStrictEqual(objects(stdout), [
      { kind: "summary", same: 4, onlyA: 0, onlyB: 0, different: 0, damaged: 1 }
    ])
    assert.strictEqual(code, 1)
    assert.include(stderr, "1.md")
  })

  it("has exit code 1 for differences also where the reader of the pipe goes away", async () => {
    const large = [0, 1].map((i) => Path.join(folder, `large-${i}.db`))
    const samples = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [i, "x"]))
    for (const [i, place] of large.entries()) {
      await makeCache(place, [{ model: "m", prompt: `${i}`, samples }])
    }
    const { stderr, stdout } = await shell(`llm-cache diff ${large.join(" ")} | head -1; echo "\${PIPESTATUS[0]}"`)
    assert.match(stdout, /^onlyA\t.*\n1\n$/)
    assert.strictEqual(stderr, "")
  })

  it("wants two different caches that exist", async () => {
    assert.strictEqual((await cli(["diff", a, `${a}/`])).code, 2)
    assert.strictEqual((await cli(["diff", a, Path.join(folder, "none")])).code, 3)
    assert.strictEqual((await cli(["diff", a])).code, 2)
  })
})
