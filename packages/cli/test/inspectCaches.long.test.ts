/** The inspector over each kind of cache, with rights that let it change nothing. */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { bin, shell, temporaryFolder } from "./support/cli.ts"
import { inspect, treeOf } from "./support/inspector.ts"
import { startUpstream } from "./support/upstream.ts"

const folder = temporaryFolder()
const env = { XDG_STATE_HOME: Path.join(folder, "state") }

/** Records a run with two prompts, and one in replication whose second prompt misses. */
const recordRuns = async (cache: string) => {
  const { close, url } = await startUpstream(["92", "Lisbon"])
  const ask = (prompt: string) =>
    `curl -s $OPENAI_BASE_URL/chat/completions -H "content-type: application/json" -d ${
      JSON.stringify(JSON.stringify({ model: "m", messages: [{ role: "user", content: prompt }] }))
    }`
  const run = (flags: string, ...prompts: ReadonlyArray<string>) =>
    shell(`llm-cache run --cache '${cache}' ${flags} -- sh -c "$PROGRAM"`, {
      ...env,
      PROGRAM: prompts.map(ask).join("; ")
    })
  assert.strictEqual((await run(`--upstream ${url}`, "Choose a number.", "Name a city.")).code, 0)
  assert.strictEqual((await run("--replication", "Choose a number.", "Name a town.")).code, 1)
  close()
}

/** Reads each kind of page in each of its forms, and fails if one is not shown. */
const readAll = async (url: string) => {
  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`)
    const text = await response.text()
    assert.strictEqual(response.status, 200, `${path}: ${text}`)
    return text
  }
  const { runs } = JSON.parse(await get("/runs.json"))
  assert.deepStrictEqual(runs.slice(0, 2).map(({ receipt }: any) => [receipt.bought, receipt.missed]), [[0, 1], [2, 0]])
  const [second, first] = runs.map(({ id }: { readonly id: string }) => id)
  const { draws, firstMiss } = JSON.parse(await get(`/runs/${second}.json`))
  for (
    const [path, query = ""] of [
      ["/runs"],
      [`/runs/${first}`],
      [`/runs/${second}/misses/${firstMiss.row}`],
      ["/compare", `?a=${first}&b=${second}`],
      [`/prompts/${draws[0].hash}`, `?run=${second}`],
      ["/cache"]
    ]
  ) {
    for (const suffix of ["", ".json", ".md"]) await get(path + suffix + query)
  }
  assert.include(firstMiss.explanation, "Name a [-city-]{+town+}")
  assert.include(await get(`/prompts/${draws[0].hash}.md`), "92")
  assert.include(await get("/cache.md"), "Choose a number")
}

describe("llm-cache inspect", () => {
  it("shows all pages of a directory without rights to write, and changes nothing", async () => {
    const cache = Path.join(folder, "cache")
    await recordRuns(cache)
    const [before, after] = await readAsReader(cache, cache)
    assert.deepStrictEqual(after, before)
  })

  it("shows all pages of a file of SQLite without rights to write, and changes nothing", async () => {
    const cache = Path.join(folder, "file", "samples.db")
    Fs.mkdirSync(Path.dirname(cache))
    await recordRuns(cache)
    // The replication left them empty.
    for (const suffix of ["-wal", "-shm"]) Fs.rmSync(cache + suffix, { force: true })
    const before = treeOf(Path.dirname(cache))
    const { stop, url } = await inspect(cache)
    await readAll(url)
    assert.strictEqual(await stop(), 0)
    assert.deepStrictEqual(treeOf(Path.dirname(cache)), before)
    const [readable, read] = await readAsReader(Path.dirname(cache), cache)
    assert.deepStrictEqual(read, readable)
  })
})

/** Reads the pages as a user who may only read, or as the user of the test if that is not root. Returns the files before and after. */
const readAsReader = async (root: string, cache: string) => {
  const user = process.getuid?.() === 0 && isOpenToAll(bin) ? 65534 : undefined
  const paths = [
    root,
    ...Fs.readdirSync(root, { recursive: true, encoding: "utf8" }).map((name) => Path.join(root, name))
  ]
  const modes = paths.map((path) => Fs.statSync(path).mode)
  Fs.chmodSync(folder, 0o755)
  for (const path of paths) Fs.chmodSync(path, Fs.statSync(path).isDirectory() ? 0o555 : 0o444)
  try {
    const before = treeOf(root)
    const { stop, url } = await inspect(cache, [], { user, env: { HOME: "/nonexistent" } })
    await readAll(url)
    assert.strictEqual(await stop(), 0)
    return [before, treeOf(root)] as const
  } finally {
    paths.forEach((path, i) => Fs.chmodSync(path, modes[i]!))
  }
}

/** Whether each user may read a file: the repository may be in the home folder of root. */
const isOpenToAll = (path: string): boolean =>
  (Fs.statSync(path).mode & 0o004) !== 0 && (path === Path.dirname(path) || isOpenToAll(Path.dirname(path)))

const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"
const prefix = `inspect_${crypto.randomUUID().slice(0, 8)}`

describe.each([
  ["PostgreSQL", "LLM_CACHE_TEST_POSTGRES", async (server: string) => {
    const url = new URL(server)
    url.searchParams.set("options", "-c default_transaction_read_only=on")
    return url.href
  }],
  ["Redis", "LLM_CACHE_TEST_REDIS", async (server: string) => {
    const url = new URL(server)
    await sendToRedis(url, `ACL SETUSER ${prefix} on >reader ~* &* +@all -@write`)
    return Object.assign(url, { username: prefix, password: "reader" }).href
  }]
])("llm-cache inspect of a cache in %s", (_, variable, readerOf) => {
  const server = process.env[variable]

  it("is tested if LLM_CACHE_REQUIRE_SERVERS is set", () => {
    assert.isFalse(isRequired && server === undefined, `${variable} names no server`)
  })

  const why = server === undefined ? ` (skipped: ${variable} names no server)` : ""
  it.skipIf(server === undefined)(`shows all pages to a user who may only read${why}`, async () => {
    await recordRuns(`${server}#${prefix}`)
    const { stop, url } = await inspect(`${await readerOf(server!)}#${prefix}`, [], { env })
    await readAll(url)
    assert.strictEqual(await stop(), 0)
  })
})

/** Sends a command, and waits for its answer. */
const sendToRedis = (url: URL, command: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect(Number(url.port), url.hostname, () => socket.write(`${command}\r\n`))
    socket.on("error", reject).once("data", (answer) => {
      socket.destroy()
      if (answer.toString().startsWith("+OK")) resolve()
      else reject(new Error(answer.toString()))
    })
  })
