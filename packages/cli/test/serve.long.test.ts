import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { bin, cli, objects, spawn, temporaryFolder } from "./support/cli.ts"
import { startUpstream } from "./support/upstream.ts"

const folder = temporaryFolder()
const key = "sk-very-secret-key-of-a-test"

interface Served {
  readonly url: string
  readonly kill: (signal: NodeJS.Signals) => void
  readonly output: { stdout: string; stderr: string }
  readonly ended: Promise<number | null>
  /** Waits for a text on stderr. */
  readonly told: (text: string) => Promise<void>
}

/** Starts `llm-cache serve` at a free port. */
const serve = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}): Promise<Served> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, "serve", "--port", "0", "--json", ...args], { ...process.env, ...env })
    const output = { stdout: "", stderr: "" }
    const waiting: Array<() => void> = []
    const ended = new Promise<number | null>((end) => child.on("close", end))
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text
      for (const check of waiting) check()
    })
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text
      if (!output.stdout.includes("\n")) return
      resolve({
        url: JSON.parse(output.stdout.split("\n")[0]!).url,
        kill: (signal) => void child.kill(signal),
        output,
        ended,
        told: (text) =>
          new Promise((done) => {
            const check = () => output.stderr.includes(text) && done()
            waiting.push(check)
            check()
          })
      })
    })
    void ended.then((code) => reject(new Error(`ended with ${code}: ${output.stderr}`)))
  })

const ask = (url: string, prompt: string, token = key): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: prompt }] })
  })

const textOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { choices: ReadonlyArray<{ message: { content: string } }> }).choices[0]!.message.content

describe("llm-cache serve", () => {
  it("says its URL first, serves the cache, and goes on with a run after a restart", async () => {
    const upstream = await startUpstream(["a", "b"])
    const cache = Path.join(folder, "restarted")
    const args = ["--cache", cache, "--upstream", `local=${upstream.url}`]
    const first = await serve(args)
    assert.match(first.output.stdout, /^\{"url":"http:\/\/127\.0\.0\.1:\d+"\}\n$/)
    assert.strictEqual((await fetch(`${first.url}/health`)).status, 200)
    assert.strictEqual(await textOf(await ask(`${first.url}/run/r/independent`, "p")), "a")
    first.kill("SIGTERM")
    assert.strictEqual(await first.ended, 0)
    const second = await serve(args)
    assert.strictEqual(await textOf(await ask(`${second.url}/run/r/independent`, "p")), "b")
    assert.strictEqual(await textOf(await ask(second.url, "p")), "a")
    second.kill("SIGINT")
    assert.strictEqual(await second.ended, 0)
    const shown = await cli(["show", "m", "--cache", cache, "--json"])
    assert.deepStrictEqual(objects(shown.stdout).map(({ text }) => text), ["a", "b"])
    const traces = Fs.globSync(".runs/*", { cwd: cache }).map((file) => Fs.readFileSync(Path.join(cache, file), "utf8"))
    assert.isAtLeast(traces.length, 2)
    const everything = JSON.stringify([traces, first.output, second.output])
    assert.notInclude(everything, key)
  })

  it("lets a request in flight end when it is asked to stop", async () => {
    const upstream = await startUpstream(["late"])
    const release = upstream.hold()
    const cache = Path.join(folder, "drained")
    const server = await serve(["--cache", cache, "--upstream", upstream.url])
    const answer = ask(server.url, "p")
    await upstream.until(1)
    server.kill("SIGTERM")
    await server.told("stopping")
    release()
    assert.strictEqual(await textOf(await answer), "late")
    assert.strictEqual(await server.ended, 0)
  })

  it("stops at once at a second signal, and after its grace", async () => {
    const upstream = await startUpstream()
    upstream.hold()
    const twice = await serve(["--cache", Path.join(folder, "twice"), "--upstream", upstream.url])
    const hung = ask(twice.url, "p").catch(() => "gone")
    await upstream.until(1)
    twice.kill("SIGTERM")
    await twice.told("stopping")
    twice.kill("SIGTERM")
    assert.strictEqual(await twice.ended, 130)
    assert.strictEqual(await hung, "gone")
    const short = await serve([
      "--cache",
      Path.join(folder, "short"),
      "--upstream",
      upstream.url,
      "--grace",
      "10 millis"
    ])
    const cut = ask(short.url, "p").catch(() => "gone")
    await upstream.until(2)
    short.kill("SIGTERM")
    assert.strictEqual(await short.ended, 0)
    await cut
  })

  it("says that its port is taken", async () => {
    const server = await serve(["--cache", Path.join(folder, "taken")])
    const { port } = new URL(server.url)
    const { code, stderr } = await cli(["serve", "--port", port, "--cache", Path.join(folder, "taken")])
    assert.strictEqual(code, 2)
    assert.include(stderr, `port ${port} of 127.0.0.1 is in use: give another one with --port`)
    server.kill("SIGTERM")
    await server.ended
  })

  it("refuses what the cache does not have in replication, and needs a cache for it", async () => {
    const cache = Path.join(folder, "none")
    const missing = await cli(["serve", "--replication", "--cache", cache])
    assert.strictEqual(missing.code, 3)
    Fs.mkdirSync(cache)
    const server = await serve(["--replication", "--cache", cache])
    const answer = await ask(server.url, "p")
    assert.strictEqual(answer.status, 404)
    assert.include(await answer.text(), "replication_cache_miss")
    server.kill("SIGTERM")
    await server.ended
  })

  it("asks for the token of --token-from, and listens to others only with one", async () => {
    const upstream = await startUpstream(["a"])
    const server = await serve(
      ["--cache", Path.join(folder, "token"), "--upstream", upstream.url, "--token-from", "TOKEN", "--key-from", "KEY"],
      { TOKEN: "the token of a test", KEY: key }
    )
    assert.strictEqual((await ask(server.url, "p", "wrong")).status, 401)
    assert.strictEqual((await ask(server.url, "p", "the token of a test")).status, 200)
    assert.deepStrictEqual(upstream.keys, [`Bearer ${key}`])
    server.kill("SIGTERM")
    await server.ended
    assert.notInclude(JSON.stringify(server.output), key)
    const open = await cli(["serve", "--host", "0.0.0.0", "--port", "0", "--cache", Path.join(folder, "open")])
    assert.strictEqual(open.code, 2)
    assert.include(open.stderr, "--token-from")
  })

  it("says which flag is wrong", async () => {
    const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["--upstream", "ftp://a"], "NAME=URL"],
      [["--upstream", "a=http://x", "--alias", "m"], "no alias"],
      [["--upstream", "a=http://x", "--key-from", "b=HOME"], "--upstream b=URL"],
      [["--upstream", "a=http://x", "--upstream", "b=http://y", "--key-from", "HOME"], "--key-from a=VARIABLE"],
      [["--grace", "soon"], "--grace is no time"],
      [["--in-flight", "0"], "inFlight"],
      [["--token-from", "NO_SUCH_VARIABLE"], "--token-from names an environment variable that is empty or not set"]
    ]
    for (const [args, message] of wrong) {
      const { code, stderr, stdout } = await cli(["serve", "--port", "0", "--cache", Path.join(folder, "w"), ...args])
      assert.deepStrictEqual([code, stdout], [2, ""], stderr)
      assert.include(stderr, message)
    }
  })
})
