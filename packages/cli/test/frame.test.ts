import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeCache, numberPrompt } from "./support/caches.ts"
import { cli, shell, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()
const cache = Path.join(folder, "cache")
const large = Path.join(folder, "large.db")

beforeAll(async () => {
  await makeCache(cache, [{ model: "gpt-4o", prompt: numberPrompt, samples: { 0: "92" } }])
  await makeCache(
    large,
    Array.from({ length: 3000 }, (_, i) => ({ model: "m", prompt: `${i} ${"x".repeat(200)}`, samples: { 0: "a" } }))
  )
})

describe("exit codes", () => {
  it("are 0 for help and the version, on stdout", async () => {
    for (const args of [["--help"], ["ls", "--help"], ["--version"]]) {
      const { code, stderr, stdout } = await cli(args)
      assert.deepStrictEqual([code, stderr], [0, ""])
      assert.isNotEmpty(stdout)
    }
  })

  it.each([
    [["sl"], "ls"],
    [["sl", "--help"], "ls"],
    [["ls", "--cahce", "x"], "--cache"],
    [["ls", "--fork"], "--fork"],
    [["ls", "@9-1", "--cache", cache], "@0-9"],
    [["ls", "--grep", "(", "--cache", cache], "--grep"],
    [["ls", "--cache", "ftp://host/x"], "postgres://"],
    [["ls", "--cache", "postgres://"], "postgres://user"]
  ])("are 2 for arguments that mean nothing, with advice on stderr: %j", async (args, advice) => {
    const { code, stderr, stdout } = await cli(args)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, advice)
  })

  it("are 3 for a cache that cannot be used", async () => {
    const missing = await cli(["ls", "--cache", Path.join(folder, "missing")])
    assert.strictEqual(missing.code, 3)
    assert.include(missing.stderr, "there is no cache at")
    const file = Path.join(folder, "no.db")
    Fs.writeFileSync(file, "this is no database")
    assert.strictEqual((await cli(["ls", "--cache", file])).code, 3)
    assert.strictEqual((await cli(["ls", "--cache", "redis://127.0.0.1:1"])).code, 3)
  })
})

describe("a cache that is read", () => {
  it("is not created", async () => {
    for (const name of ["none", "none.db"]) {
      const place = Path.join(folder, name)
      assert.strictEqual((await cli(["ls", "--cache", place])).code, 3)
      assert.isFalse(Fs.existsSync(place))
    }
  })

  it("is that of LLM_CACHE_DIRECTORY, or else of the home folder", async () => {
    const home = Path.join(folder, "home")
    Fs.cpSync(cache, Path.join(home, ".llm_cache"), { recursive: true })
    assert.match((await cli(["ls"], { LLM_CACHE_DIRECTORY: cache })).stdout, /^gpt-4o\t/)
    assert.match((await cli(["ls"], { HOME: home })).stdout, /^gpt-4o\t/)
    assert.strictEqual((await cli(["ls"], { HOME: folder })).code, 3)
  })

  it("shows no password in its errors", async () => {
    const { code, stderr } = await cli(["ls", "--cache", "postgres://me:pa55@127.0.0.1:1/db"])
    assert.strictEqual(code, 3)
    assert.notInclude(stderr, "pa55")
  })
})

describe("a pipe", () => {
  it("whose reader goes away ends the command without a word", async () => {
    const ran = await shell(`llm-cache ls '*' --cache ${large} | head -1; echo "\${PIPESTATUS[0]}"`)
    const [row, code] = ran.stdout.trim().split("\n")
    assert.match(row!, /^m\t/)
    assert.deepStrictEqual([code, ran.stderr], ["0", ""])
  })

  it("has no colors, and a terminal has them unless NO_COLOR says no", async () => {
    const colored = { NO_COLOR: undefined, TERM: "xterm" }
    assert.notInclude((await cli(["ls", "--cache", cache], colored)).stdout, "\x1b")
    assert.include((await terminal(80, ["ls", "--cache", cache], colored)).stdout, "\x1b[1m")
    assert.notInclude((await terminal(80, ["ls", "--cache", cache])).stdout, "\x1b")
  })
})
