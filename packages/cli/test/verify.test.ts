import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { example, makeCache, numberHash } from "./support/caches.ts"
import { cli, objects, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()

/** A cache in which the sample at position 1 is damaged, and the file of a killed process is left. */
const damagedCache = async (name: string) => {
  const place = Path.join(folder, name)
  await makeCache(place, example)
  Fs.writeFileSync(Path.join(place, `gpt-4o_1/${numberHash}/1.md`), "changed")
  return place
}

describe("verify", () => {
  it("counts the samples of a cache without damage, with exit code 0", async () => {
    for (const name of ["whole", "whole.db"]) {
      const place = Path.join(folder, name)
      await makeCache(place, example)
      const { code, stdout } = await cli(["verify", "--cache", place, "--json"])
      assert.deepStrictEqual(objects(stdout), [{ kind: "summary", samples: 9, damaged: 0 }])
      assert.strictEqual(code, 0)
    }
  })

  it("has a row for each damaged sample, and exit code 1", async () => {
    const place = await damagedCache("json")
    const { code, stdout } = await cli(["verify", "--cache", place, "--json"])
    const [row, ...others] = objects(stdout)
    assert.deepStrictEqual({ ...row, problem: undefined }, {
      kind: "damaged",
      model: "gpt-4o",
      temperature: 1,
      parameters: {},
      fork: [],
      hash: numberHash,
      position: 1,
      problem: undefined
    })
    assert.include(row?.["problem"], "1.md")
    assert.deepStrictEqual(others, [{ kind: "summary", samples: 9, damaged: 1 }])
    assert.strictEqual(code, 1)
  })

  it("reads only what is selected", async () => {
    const place = await damagedCache("selected")
    assert.strictEqual((await cli(["verify", "@0", "--cache", place])).code, 0)
    assert.strictEqual((await cli(["verify", "meta-llama*", "--cache", place])).code, 0)
    const { stderr } = await cli(["verify", "@0-2", "gpt-4o", "--cache", place])
    assert.include(stderr, "6 samples, 1 damaged")
    assert.strictEqual((await cli(["verify", "o3", "--cache", place])).code, 1)
  })

  it("shows the place and the problem on a terminal", async () => {
    const { stdout } = await terminal(80, ["verify", "--cache", await damagedCache("terminal")])
    assert.match(stdout, new RegExp(`^gpt-4o, t=1, prompt ${numberHash.slice(0, 8)} @1\n  .*1\\.md.*\n`))
    assert.include(stdout, "llm-cache: 9 samples, 1 damaged")
  })
})
