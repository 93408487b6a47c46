import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import { bin, spawn, temporaryFolder } from "./support/cli.ts"
import { startUpstream } from "./support/upstream.ts"

const folder = temporaryFolder()
const env = { ...process.env, OPENAI_API_KEY: "a key" }

/** Starts `llm-cache serve` by a shell, and returns it with its URL. */
const start = async (script: string, ...args: ReadonlyArray<string>) => {
  const child = spawn("sh", ["-c", script, process.execPath, bin, "serve", "--port", "0", "--json", ...args], env)
  let stderr = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
  const line = await new Promise<string>((resolve) => child.stdout.once("data", (text) => resolve(String(text))))
  return { child, ended, stderr: () => stderr, url: JSON.parse(line).url as string }
}

/** A request over a connection of its own. An error is its code. */
const ask = (url: string, prompt: string) =>
  new Promise<{ readonly status?: number | undefined; readonly text: string }>((resolve) => {
    const request = Http.request(`${url}/v1/chat/completions`, {
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json" }
    }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => void (text += part))
      response.on("end", () => resolve({ status: response.statusCode, text }))
    })
    request.on("error", (error: NodeJS.ErrnoException) => resolve({ text: error.code ?? error.message }))
    request.end(JSON.stringify({ model: "m", messages: [{ role: "user", content: prompt }] }))
  })

const prompts = Array.from({ length: 40 }, (_, i) => `prompt ${i}`)

describe("llm-cache serve", () => {
  // Only Linux tells how many files a process may open.
  it.runIf(process.platform === "linux")(
    "refuses connections that would take its last files, says what to do, and loses nothing that is paid",
    async () => {
      const upstream = await startUpstream(prompts)
      const args = ["--cache", Path.join(folder, "files"), "--upstream", upstream.url]
      const server = await start("ulimit -n 64; exec \"$0\" \"$@\"", ...args)
      const answers = await Promise.all(prompts.map((prompt) => ask(server.url, prompt)))
      const refused = answers.filter(({ status }) => status !== 200)
      const told = refused.filter(({ status }) => status === 503)
      assert.isNotEmpty(told)
      for (const { text } of told) {
        assert.include(JSON.parse(text).error.message, "ulimit -n")
      }
      // Those of more clients than can be told.
      for (const { status, text } of refused) if (status !== 503) assert.match(text, /^(?:ECONNRESET|EPIPE)$/)
      assert.strictEqual(upstream.prompts.length, prompts.length - refused.length)

      const idle = Array.from(
        { length: 100 },
        () => Net.connect(Number(new URL(server.url).port), "127.0.0.1").on("error", () => {})
      )
      await Promise.all(idle.slice(-10).map((socket) => new Promise((resolve) => socket.once("close", resolve))))
      const closed = idle.map((socket) => new Promise((resolve) => socket.once("close", resolve)))
      for (const socket of idle) socket.destroy()
      await Promise.all(closed.filter((_, i) => !idle[i]!.closed))

      const again: Array<number | undefined> = []
      for (const prompt of prompts) {
        let answer = await ask(server.url, prompt)
        // The server may not know yet that the idle clients are gone.
        while (answer.status !== 200) answer = await ask(server.url, prompt)
        again.push(answer.status)
      }
      assert.strictEqual(again.length, prompts.length)
      // Each prompt is paid for once.
      assert.sameMembers(upstream.prompts, prompts)
      assert.lengthOf(upstream.prompts, prompts.length)
      server.child.kill("SIGTERM")
      assert.strictEqual(await server.ended, 0)
      assert.strictEqual(server.stderr().split("ulimit -n").length, 2, server.stderr())
    }
  )

  it("serves on when the reader of its output has gone", async () => {
    const upstream = await startUpstream(["a"])
    const log = Path.join(folder, "stderr")
    const cache = Path.join(folder, "closed")
    const server = await start(
      `{ "$0" "$@" 2>${log} & echo $! >${log}.pid; } | head -n 1`,
      "--cache",
      cache,
      "--upstream",
      upstream.url
    )
    await server.ended
    assert.strictEqual((await ask(server.url, "p")).status, 200)
    assert.strictEqual((await ask(server.url, "p")).status, 200)
    assert.lengthOf(upstream.prompts, 1)
    const pid = Number(Fs.readFileSync(`${log}.pid`, "utf8"))
    process.kill(pid, "SIGTERM")
    // It is no child of this process, which gets no event of its end.
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
    const said = Fs.readFileSync(log, "utf8")
    assert.match(said, /^(?:llm-cache: stopping[^\n]*\n)$/)
  })

  it("ends without a word if nobody can read its first line", async () => {
    const unread = Path.join(folder, "unread")
    const child = spawn(
      "sh",
      ["-c", "\"$0\" \"$@\" | true", process.execPath, bin, "serve", "--port", "0", "--cache", unread, "--json"],
      env
    )
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
    await new Promise((resolve) => child.on("close", resolve))
    assert.strictEqual(stderr, "")
  })
})

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
