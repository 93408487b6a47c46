import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { cli, objects, shell, temporaryFolder } from "./support/cli.ts"
import { inspect, treeOf } from "./support/inspector.ts"
import { startUpstream } from "./support/upstream.ts"

const folder = temporaryFolder()
const cache = Path.join(folder, "cache")

/** Records a run, whose program asks once. */
const recordRun = async () => {
  const { url } = await startUpstream(["92"])
  const ask = `curl -s $OPENAI_BASE_URL/chat/completions -H "content-type: application/json" -d "$BODY"`
  await shell(`llm-cache run --cache ${cache} --upstream ${url} -- sh -c '${ask}'`, {
    BODY: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Choose <b>a number</b>." }] })
  })
}

describe("llm-cache inspect", () => {
  it("serves the pages of a run until a signal, and leaves the cache as it is", async () => {
    await recordRun()
    const before = treeOf(cache)
    const { stop, url } = await inspect(cache, ["last"])
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/inspect\/runs\/.+-sh-/)
    const page = await (await fetch(url)).text()
    assert.include(page, "Choose &#60;b&#62;a number&#60;/b&#62;.")
    const { runs } = JSON.parse(await (await fetch(url.replace(/\/runs\/.*/, "/runs.json"))).text())
    assert.deepInclude(runs[0].receipt, { asked: 1, bought: 1 })
    assert.strictEqual(await stop(), 0)
    assert.deepStrictEqual(treeOf(cache), before)
  })

  it("writes the page of a run into one file", async () => {
    const file = Path.join(folder, "run.html")
    const { code, stdout } = await cli(["inspect", "last", "--file", file, "--json", "--cache", cache])
    assert.strictEqual(code, 0)
    assert.deepInclude(objects(stdout)[0], { kind: "summary", file })
    assert.include(Fs.readFileSync(file, "utf8"), "Choose &#60;b&#62;a number")
  })

  it("says what is missing", async () => {
    const noRun = await cli(["inspect", "--file", "x.html", "--cache", cache])
    assert.strictEqual(noRun.code, 2)
    assert.include(noRun.stderr, "llm-cache inspect last --file run.html")
    const unknown = await cli(["inspect", "nobody", "--cache", cache])
    assert.strictEqual(unknown.code, 2)
    assert.include(unknown.stderr, "named nobody")
    const unwritable = await cli(["inspect", "last", "--file", Path.join(folder, "none", "x.html"), "--cache", cache])
    assert.strictEqual(unwritable.code, 3)
    assert.include(unwritable.stderr, "cannot be written")
    const noCache = await cli(["inspect", "--cache", Path.join(folder, "none")])
    assert.strictEqual(noCache.code, 3)
    assert.isFalse(Fs.existsSync(Path.join(folder, "none")))
  })
})
