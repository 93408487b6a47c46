import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { example, makeCache, numberHash, numberPrompt } from "./support/caches.ts"
import { cli, objects, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()
const source = Path.join(folder, "source")
let last = 0

/** The name of a cache that does not exist. */
const fresh = (suffix: "" | ".db"): string => Path.join(folder, `${last++}${suffix}`)

const zeros = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0, damaged: 0 }
const summary = (counts: Partial<typeof zeros>) => [{ kind: "summary", ...zeros, ...counts }]

const texts = async (cache: string, ...selection: ReadonlyArray<string>) =>
  objects((await cli(["show", ...selection, "--cache", cache, "--json"])).stdout)
    .map(({ position, text }) => `${String(position)} ${String(text)}`)

beforeAll(() => makeCache(source, example))

describe("copy", () => {
  it("copies every sample into a new cache of another kind, and back", async () => {
    const [file, directory] = [fresh(".db"), fresh("")]
    const there = await cli(["copy", source, file, "--json"])
    assert.deepStrictEqual(objects(there.stdout), summary({ copied: 9 }))
    assert.strictEqual((await cli(["copy", file, directory])).code, 0)
    for (const copy of [file, directory]) {
      const { code, stderr } = await cli(["diff", source, copy])
      assert.deepStrictEqual([code, stderr.includes("9 the same")], [0, true])
    }
  })

  it("skips the samples that are there", async () => {
    const to = fresh("")
    await cli(["copy", source, to, "@0"])
    const { stdout } = await cli(["copy", source, to, "--json"])
    assert.deepStrictEqual(objects(stdout), summary({ copied: 4, present: 5 }))
  })

  it("copies only what is selected", async () => {
    const to = fresh(".db")
    await cli(["copy", source, to, "gpt-4o", numberHash.slice(0, 4), "@1-9", "--fork", ""])
    assert.deepStrictEqual(await texts(to, "*"), ["1 747", "2 131", "4 16"])
    const nothing = fresh(".db")
    const { code, stderr } = await cli(["copy", source, nothing, "o3"])
    assert.strictEqual(code, 1)
    assert.include(stderr, "nothing is selected")
    assert.isFalse(Fs.existsSync(nothing))
  })

  it("does not overwrite another sample, and says how to choose", async () => {
    const to = fresh("")
    await makeCache(to, [{ model: "gpt-4o", temperature: 1, prompt: numberPrompt, samples: { 1: "other" } }])
    const { code, stderr, stdout } = await cli(["copy", source, to])
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.include(stderr, `position 1 of prompt ${numberHash.slice(0, 8)}`)
    assert.include(stderr, `llm-cache merge ${source} ${to} --if-different`)
    assert.include(await texts(to, numberHash, "@1"), "1 other")
  })

  it("fails at a damaged sample, or skips it and tells", async () => {
    const damaged = fresh("")
    await makeCache(damaged, example)
    Fs.writeFileSync(Path.join(damaged, `gpt-4o_1/${numberHash}/1.md`), "changed")
    const failed = await cli(["copy", damaged, fresh("")])
    assert.strictEqual(failed.code, 3)
    const { code, stderr, stdout } = await cli(["copy", damaged, fresh(""), "--skip-damaged", "--json"])
    assert.deepStrictEqual(objects(stdout), summary({ copied: 8, damaged: 1 }))
    assert.strictEqual(code, 1)
    assert.include(stderr, "1.md")
  })

  it("wants a source that exists, and another cache to copy to", async () => {
    assert.strictEqual((await cli(["copy", fresh(""), fresh("")])).code, 3)
    assert.strictEqual((await cli(["copy", source, source])).code, 2)
  })
})

describe("merge", () => {
  const other = async () => {
    const to = fresh("")
    await makeCache(to, [{ model: "gpt-4o", temperature: 1, prompt: numberPrompt, samples: { 0: "92", 1: "other" } }])
    return to
  }
  const only = ["gpt-4o", numberHash, "--fork", ""]

  it("fails at a difference, keeps ours, or appends theirs", async () => {
    assert.strictEqual((await cli(["merge", source, await other()])).code, 1)
    const ours = await other()
    const kept = await cli(["merge", source, ours, ...only, "--if-different", "ours", "--json"])
    assert.deepStrictEqual(objects(kept.stdout), summary({ copied: 2, present: 1, kept: 1 }))
    assert.deepStrictEqual(await texts(ours, ...only), ["0 92", "1 other", "2 131", "4 16"])
    const appended = await other()
    await cli(["merge", source, appended, ...only, "--if-different", "append"])
    assert.deepStrictEqual(await texts(appended, ...only), ["0 92", "1 other", "2 131", "3 747", "4 16"])
  })

  it("shows what theirs would replace, and replaces it with --yes", async () => {
    const to = await other()
    const args = ["merge", source, to, ...only, "--if-different", "theirs"]
    const { code, stdout } = await cli([...args, "--json"])
    assert.deepStrictEqual(objects(stdout), [
      {
        kind: "different",
        model: "gpt-4o",
        temperature: 1,
        parameters: {},
        fork: [],
        hash: numberHash,
        position: 1
      },
      { kind: "summary", copied: 2, present: 1, replaced: 1, done: false }
    ])
    assert.strictEqual(code, 1)
    assert.deepStrictEqual(await texts(to, ...only), ["0 92", "1 other"])
    const shown = await terminal(80, args)
    assert.include(shown.stdout, "nothing was changed: add --yes to merge (2 copied, 1 present, 1 replaced)")
    const done = await cli([...args, "--yes", "--json"])
    assert.deepStrictEqual(objects(done.stdout), summary({ copied: 2, present: 1, replaced: 1 }))
    assert.strictEqual(done.code, 0)
    assert.deepStrictEqual(await texts(to, ...only), ["0 92", "1 747", "2 131", "4 16"])
  })
})
