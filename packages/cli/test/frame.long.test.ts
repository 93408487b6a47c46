import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as ChildProcess from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { commands } from "../src/commands.ts"
import { makeCache, numberPrompt } from "./support/caches.ts"
import { bin, cli, shell, temporaryFolder, terminal } from "./support/cli.ts"

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
    for (const args of [[], ["--help"], ["ls", "--help"], ["--version"]]) {
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

  it.each([
    ["@llm-cache/sqlite", "x.db"],
    ["@llm-cache/sql", "postgres://host/db"],
    ["@llm-cache/redis", "redis://host"]
  ])("are 3 if the store's package %s is not installed, with the command that installs it", async (name, place) => {
    const hook = `import { registerHooks } from "node:module"
      registerHooks({ resolve: (module, context, next) => {
        if (!module.startsWith("${name}/")) return next(module, context)
        throw Object.assign(new Error("Cannot find package '${name}'"), { code: "ERR_MODULE_NOT_FOUND" })
      } })`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` }
    const { code, stderr } = await cli(["copy", cache, place], env)
    assert.strictEqual(code, 3)
    assert.include(stderr, `npm install ${name}`)
  })

  it("is 130 if the command is interrupted", async () => {
    // A server that never answers.
    const server = Net.createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as Net.AddressInfo
    const child = ChildProcess.spawn(process.execPath, [bin, "ls", "--cache", `redis://127.0.0.1:${port}`])
    const closed = once(child, "close")
    await once(server, "connection")
    child.kill("SIGINT")
    const [code] = await closed
    server.close()
    assert.strictEqual(code, 130)
  })
})

describe("every command", () => {
  it("is listed and described, with its flags and with an example", async () => {
    const { stdout } = await cli(["--help"])
    for (const [name, { summary }] of Object.entries(commands)) {
      assert.match(stdout, new RegExp(`^ +${name} +${summary.replace(/[.*+?()|]/g, String.raw`\$&`)}$`, "m"))
      const help = await cli([name, "--help"])
      assert.strictEqual(help.code, 0)
      assert.include(help.stdout, "USAGE")
      assert.include(help.stdout, `llm-cache ${name}`)
    }
  }, 60_000)

  it("is completed by the shell, with its flags", async () => {
    const { code, stdout } = await cli(["--completions", "bash"])
    assert.strictEqual(code, 0)
    assert.include(stdout, "if-different")
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

  it("stays as it was", async () => {
    const filesOf = () =>
      Fs.readdirSync(cache, { encoding: "utf8", recursive: true }).sort()
        .map((file) => [file, Fs.statSync(Path.join(cache, file), { bigint: true }).mtimeNs])
    const before = filesOf()
    for (const args of [["ls"], ["ls", "*"], ["show", "*"], ["verify"], ["prune", "*"], ["prune", "--damaged"]]) {
      assert.strictEqual((await cli([...args, "--cache", cache])).code, 0)
    }
    assert.strictEqual((await cli(["diff", cache, large, "gpt*"])).code, 1)
    assert.deepStrictEqual(filesOf(), before)
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

  it("whose reader never reads the help is no bug", async () => {
    const ran = await shell(`(sleep 0.1; llm-cache --help; echo "$?" >&2) | true`)
    assert.strictEqual(ran.stderr, "0\n")
  })

  it("has no colors, and a terminal has them unless NO_COLOR says no", async () => {
    const colored = { NO_COLOR: undefined, TERM: "xterm" }
    assert.notInclude((await cli(["ls", "--cache", cache], colored)).stdout, "\x1b")
    assert.include((await terminal(80, ["ls", "--cache", cache], colored)).stdout, "\x1b[1m")
    assert.notInclude((await terminal(80, ["ls", "--cache", cache])).stdout, "\x1b")
  })
})
