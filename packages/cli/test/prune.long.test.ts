import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { example, makeCache, numberHash, numberPrompt } from "./support/caches.ts"
import { cli, objects, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()

describe.each(["", ".db"])("prune of a cache%s", (suffix) => {
  const cacheOf = async (name: string) => {
    const place = Path.join(folder, `${name}${suffix}`)
    await makeCache(place, example)
    return place
  }
  const count = async (cache: string) =>
    objects((await cli(["ls", "--json", "--cache", cache])).stdout).reduce(
      (sum, { samples }) => sum + Number(samples),
      0
    )

  it("shows what it would delete, and deletes it with --yes", async () => {
    const cache = await cacheOf("yes")
    const args = ["prune", "gpt-4o", numberHash.slice(0, 4), "@1-2", "--cache", cache, "--json"]
    const row = {
      model: "gpt-4o",
      temperature: 1,
      parameters: {},
      fork: [],
      hash: numberHash,
      prompt: numberPrompt,
      positions: [1, 2],
      samples: 2
    }
    const shown = await cli(args)
    assert.deepStrictEqual(objects(shown.stdout), [row, { kind: "summary", samples: 2, deleted: 0, done: false }])
    assert.strictEqual(await count(cache), 9)
    const done = await cli([...args, "--yes"])
    assert.deepStrictEqual(objects(done.stdout), [row, { kind: "summary", samples: 2, deleted: 2, done: true }])
    assert.deepStrictEqual([shown.code, done.code, await count(cache)], [0, 0, 7])
  })

  it("leaves other forks and prompts alone", async () => {
    const cache = await cacheOf("forks")
    await cli(["prune", "--fork", "trial-1", "--yes", "--cache", cache])
    const { stdout } = await cli(["ls", numberHash, "--json", "--cache", cache])
    assert.deepInclude(objects(stdout)[0], { samples: 5, forks: 1 })
    assert.strictEqual(await count(cache), 8)
  })

  it("deletes nothing without a selection, or with one that selects nothing", async () => {
    const cache = await cacheOf("nothing")
    assert.strictEqual((await cli(["prune", "--yes", "--cache", cache])).code, 2)
    assert.strictEqual((await cli(["prune", "o3", "--yes", "--cache", cache])).code, 1)
    assert.strictEqual(await count(cache), 9)
  })
})

describe("prune --damaged", () => {
  it("deletes damaged samples alone", async () => {
    const cache = Path.join(folder, "damaged")
    await makeCache(cache, example)
    Fs.writeFileSync(Path.join(cache, `gpt-4o_1/${numberHash}/1.md`), "changed")
    const shown = await terminal(80, ["prune", "--damaged", "--cache", cache])
    assert.include(shown.stdout, "nothing was deleted: add --yes to delete 1 sample")
    const { stdout } = await cli(["prune", "--damaged", "--yes", "--json", "--cache", cache])
    assert.deepInclude(objects(stdout)[0], { hash: numberHash, positions: [1] })
    assert.strictEqual((await cli(["verify", "--cache", cache])).code, 0)
    const { stdout: left } = await cli(["ls", numberHash, "--fork", "", "--json", "--cache", cache])
    assert.deepInclude(objects(left)[0], { positions: [0, 2, 4] })
  })
})
