import { assert, describe, it } from "@effect/vitest"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { bin, cli, objects, type Ran, runAlone, spawn, temporaryFolder } from "./support/cli.ts"
import { agenticRetry, asking, swallowing, vote } from "./support/programs.ts"
import { startUpstream } from "./support/upstream.ts"

const folder = temporaryFolder()
const key = "sk-very-secret-key-of-a-test"
const { OPENAI_API_BASE: _, OPENAI_BASE_URL: __, ...inherited } = process.env
const env = { OPENAI_API_KEY: key }

let caches = 0
const newCache = () => Path.join(folder, `cache-${caches++}`)

const run = (cache: string, flags: ReadonlyArray<string>, ...program: ReadonlyArray<string>): Promise<Ran> =>
  cli(["run", "--cache", cache, ...flags, "--", ...program], env)

const lastLine = (text: string) => text.trimEnd().split("\n").at(-1)!

const everyFile = (directory: string): string =>
  Fs.globSync("**/*", { cwd: directory, withFileTypes: true, exclude: () => false })
    .concat(Fs.globSync(".runs/*", { cwd: directory, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => Fs.readFileSync(Path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n")

describe("llm-cache run", () => {
  it("runs a vote as it would run alone, and replays it when the upstream is gone", async () => {
    const upstream = await startUpstream(["yes", "no", "yes"])
    const cache = newCache()
    const first = await run(cache, ["--upstream", upstream.url], "python3", "-c", vote)
    assert.deepStrictEqual(first, {
      code: 0,
      stdout: "['yes', 'no', 'yes'] yes\n",
      stderr: "llm-cache: 3 asked, 0 replayed, 3 bought, 0 missed; 21 spent and 0 replayed tokens\n"
    })
    assert.deepStrictEqual(upstream.keys, Array(3).fill(`Bearer ${key}`))
    upstream.close()
    const second = await run(cache, ["--upstream", upstream.url, "--json"], "python3", "-c", vote)
    assert.strictEqual(second.stdout, first.stdout)
    assert.deepInclude(JSON.parse(lastLine(second.stderr)), {
      asked: 3,
      replayed: 3,
      bought: 0,
      isReplay: true,
      exit: 0,
      firstMiss: null
    })
    const texts = everyFile(cache) + JSON.stringify([first, second])
    assert.include(texts, "Yes or no?")
    assert.notInclude(texts, key)
  })

  it("runs an unchanged program of Anthropic's client as it would run alone, and replays it", async () => {
    const upstream = await startUpstream(["yes", "no", "yes", "I thought.", "yes", "no", "yes", "I thought."])
    const agent = [process.execPath, Path.join(import.meta.dirname, "support/anthropicAgent.mjs")]
    const base = upstream.url.replace(/\/v1$/, "")
    const vendor = { ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: key, OPENAI_API_KEY: "" }
    const alone = await runAlone(agent, vendor)
    assert.deepStrictEqual(alone, { code: 0, stdout: "yes no yes I thought. end_turn\n", stderr: "" })
    const cache = newCache()
    // The server that the program would ask, and then one that a flag names.
    const runAgent = (flags: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
      cli(["run", "--cache", cache, ...flags, "--", ...agent], env)
    const first = await runAgent([], vendor)
    assert.deepStrictEqual(first, {
      ...alone,
      stderr: "llm-cache: 4 asked, 0 replayed, 4 bought, 0 missed; 28 spent and 0 replayed tokens\n"
    })
    assert.deepStrictEqual(upstream.keys, Array(8).fill(`Bearer ${key}`))
    upstream.close()
    const second = await runAgent(["--upstream", upstream.url], { ANTHROPIC_API_KEY: key })
    assert.deepStrictEqual(second, {
      ...alone,
      stderr: "llm-cache: 4 asked, 4 replayed, 0 bought, 0 missed; 0 spent and 28 replayed tokens\n"
    })
    // Replication needs no key.
    assert.deepInclude(await runAgent(["--replication"], {}), { code: 0, stdout: alone.stdout })
    const texts = everyFile(cache) + JSON.stringify([first, second])
    assert.include(texts, "I thought.")
    assert.notInclude(texts, key)
  })

  it("asks the upstream of each vendor with that vendor's key", async () => {
    const [openAi, anthropic] = [await startUpstream(["chat"]), await startUpstream(["message"])]
    const script = `
      const ask = async (url, headers, body) => {
        const init = { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) }
        return (await fetch(url, init)).json()
      }
      const { env } = process
      const body = { model: "m", max_tokens: 9, messages: [{ role: "user", content: "p" }] }
      const chat = await ask(env.OPENAI_BASE_URL + "/chat/completions", { authorization: "Bearer " + env.OPENAI_API_KEY }, body)
      const message = await ask(env.ANTHROPIC_BASE_URL + "/v1/messages", { "x-api-key": env.ANTHROPIC_API_KEY }, { ...body, top_k: 1 })
      console.log(chat.choices[0].message.content, message.content[0].text)
    `
    const { stdout } = await cli(
      [
        "run",
        "--cache",
        newCache(),
        "--key-from",
        "anthropic=MINE",
        "--",
        process.execPath,
        "--input-type=module",
        "-e",
        script
      ],
      { OPENAI_BASE_URL: openAi.url, ANTHROPIC_BASE_URL: anthropic.url, OPENAI_API_KEY: key, MINE: "mine" }
    )
    assert.strictEqual(stdout, "chat message\n")
    assert.deepStrictEqual(openAi.keys, [`Bearer ${key}`])
    assert.deepStrictEqual(anthropic.apiKeys, ["mine"])
  })

  it("repeats the draws of an attempt, gives the next attempt others, and replays them all", async () => {
    const upstream = await startUpstream(["3", "no", "5", "no", "8", "yes"])
    const cache = newCache()
    const first = await run(cache, ["--upstream", upstream.url], "python3", "-c", agenticRetry)
    assert.strictEqual(first.stdout, "0 3 3 no\n1 5 5 no\n2 8 8 yes\n")
    assert.lengthOf(upstream.prompts, 6)
    const second = await run(cache, ["--upstream", upstream.url], "python3", "-c", agenticRetry)
    assert.strictEqual(second.stdout, first.stdout)
    assert.lengthOf(upstream.prompts, 6)
    const replication = await run(cache, ["--replication"], "python3", "-c", agenticRetry)
    assert.deepInclude(replication, { code: 0, stdout: first.stdout })
  })

  it("ends with 1 and names the first miss if the program swallowed it", async () => {
    const upstream = await startUpstream(["yes", "no", "yes"])
    const cache = newCache()
    await run(cache, ["--upstream", upstream.url], "python3", "-c", vote)
    const missed = await run(cache, ["--replication"], "python3", "-c", swallowing)
    assert.deepStrictEqual(missed, {
      code: 1,
      stdout: "yes\nfailed 404\nno\n",
      stderr: `llm-cache: first miss at request 2: llm-cache why-miss last --cache ${cache}\n` +
        "llm-cache: 3 asked, 2 replayed, 0 bought, 1 missed; 0 spent and 14 replayed tokens\n"
    })
    assert.lengthOf(upstream.prompts, 3)
    const json = await run(cache, ["--replication", "--json"], "python3", "-c", swallowing)
    const { firstMiss } = JSON.parse(lastLine(json.stderr))
    assert.deepInclude(firstMiss, { request: 2, model: "gpt-4o", position: 0, fork: [] })

    const stats = await cli(["stats", "last", "--cache", cache, "--json"])
    assert.deepInclude(objects(stats.stdout)[0], { asked: 3, missed: 1, exit: 1 })
    const why = await cli(["why-miss", "last", "--cache", cache, "--json"])
    assert.strictEqual(why.code, 1)
    assert.deepInclude(objects(why.stdout)[0], { verdict: "unknown", hash: firstMiss.hash, position: 0 })
    const slice = Path.join(folder, "slice")
    assert.strictEqual((await cli(["slice", "last", slice, "--cache", cache])).stderr, "llm-cache: 2 copied\n")
  })

  it("records a slice, which is all that a replication needs", async () => {
    const upstream = await startUpstream(["unused", "3", "no", "5", "no", "8", "yes"])
    const cache = newCache()
    const slice = `${newCache()}.db`
    await run(cache, ["--upstream", upstream.url], "python3", "-c", asking, "unused")
    const first = await run(cache, ["--upstream", upstream.url], "python3", "-c", agenticRetry)
    const sliced = await run(cache, ["--slice", slice, "--replication", "--json"], "python3", "-c", agenticRetry)
    assert.deepInclude(sliced, { code: 0, stdout: first.stdout })
    assert.deepInclude(JSON.parse(lastLine(sliced.stderr)), { asked: 9, replayed: 9, isReplay: true })
    assert.deepInclude(await run(slice, ["--replication"], "python3", "-c", agenticRetry), {
      code: 0,
      stdout: first.stdout
    })
    const stored = async (of: string) => (await cli(["ls", "--cache", of, "--json"])).stdout
    assert.deepInclude(objects(await stored(cache))[0], { samples: 7 })
    assert.deepInclude(objects(await stored(slice))[0], { samples: 6 })
    assert.strictEqual((await run(cache, ["--slice", cache], "true")).code, 2)
  })

  it("keeps the exit code of the program, also of one that a signal ended", async () => {
    const cache = newCache()
    assert.strictEqual((await run(cache, [], "sh", "-c", "exit 7")).code, 7)
    assert.strictEqual((await run(cache, [], "sh", "-c", "kill -TERM $$")).code, 143)
    const { code, stderr } = await run(cache, [], "true")
    assert.strictEqual(code, 0)
    assert.include(stderr, "true asked nothing through llm-cache")
  })

  it("says that a program cannot be started, as a shell does", async () => {
    const cache = newCache()
    const missing = await run(cache, [], "no-such-program")
    assert.strictEqual(missing.code, 127)
    assert.include(missing.stderr, "there is no program no-such-program")
    const file = Path.join(folder, "not-executable")
    Fs.writeFileSync(file, "")
    assert.strictEqual((await run(cache, [], file)).code, 126)
    const none = await cli(["run"], env)
    assert.deepInclude(none, { code: 2, stdout: "" })
    assert.include(none.stderr, "llm-cache run -- COMMAND")
  })

  it("gives the program its flags as they are, and its stdin", async () => {
    const script = "process.stdin.pipe(process.stdout); console.log(process.argv.slice(1).join(' '))"
    const child = ChildProcess.spawnSync(
      process.execPath,
      [bin, "run", "--cache", newCache(), "--", process.execPath, "-e", script, "--", "--json", "--help", "--"],
      { env: { ...inherited, ...env }, input: "from stdin", encoding: "utf8" }
    )
    assert.strictEqual(child.stdout, "--json --help --\nfrom stdin")
  })

  it("leads clients of OpenAI to the run, past proxies, and with a key of its own where none is needed", async () => {
    const script = "console.log(JSON.stringify(process.env))"
    const { stdout } = await cli(
      ["run", "--cache", newCache(), "--upstream", "http://127.0.0.1:1", "--", process.execPath, "-e", script],
      { ...env, HTTP_PROXY: "http://127.0.0.1:1", no_proxy: "a.example" }
    )
    const given = JSON.parse(stdout)
    assert.match(given.LLM_CACHE_URL, /^http:\/\/127\.0\.0\.1:\d+\/run\/node-[a-z0-9]+$/)
    assert.strictEqual(given.OPENAI_BASE_URL, `${given.LLM_CACHE_URL}/independent/v1`)
    assert.strictEqual(given.OPENAI_API_BASE, given.OPENAI_BASE_URL)
    assert.strictEqual(given.ANTHROPIC_BASE_URL, `${given.LLM_CACHE_URL}/independent`)
    assert.strictEqual(given.OPENAI_API_KEY, key)
    assert.strictEqual(given.NO_PROXY, "a.example,127.0.0.1")
    const cache = newCache()
    Fs.mkdirSync(cache)
    const keyless = await cli(
      ["run", "--cache", cache, "--replication", "--", process.execPath, "-e", script],
      { OPENAI_API_KEY: "" }
    )
    assert.strictEqual(JSON.parse(keyless.stdout).OPENAI_API_KEY, "llm-cache")
  })

  it("asks the server that the program would ask alone, with the key of --key-from", async () => {
    const upstream = await startUpstream(["yes"])
    const { stdout } = await cli(
      ["run", "--cache", newCache(), "--key-from", "MY_KEY", "--", "python3", "-c", asking, "Yes or no?"],
      { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: "", MY_KEY: "another key" }
    )
    assert.strictEqual(stdout, "yes\n")
    assert.deepStrictEqual(upstream.keys, ["Bearer another key"])
    const unset = await cli(["run", "--cache", newCache(), "--key-from", "sk-by-mistake", "--", "true"], env)
    assert.strictEqual(unset.code, 2)
    assert.notInclude(unset.stderr, "sk-by-mistake")
  })

  it("keeps a sample whose program was ended while the upstream made it", async () => {
    const upstream = await startUpstream(["late"])
    const release = upstream.hold()
    const cache = newCache()
    const child = spawn(
      process.execPath,
      [bin, "run", "--cache", cache, "--upstream", upstream.url, "--", "python3", "-c", asking, "Slow?"],
      { ...inherited, ...env }
    )
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
    const told = new Promise<void>((resolve) =>
      child.stderr.on("data", (text) => String(text).includes("asked,") && resolve())
    )
    await upstream.until(1)
    child.kill("SIGTERM")
    // The receipt comes after the program's end.
    await told
    release()
    assert.strictEqual(await ended, 143)
    const replayed = await run(cache, ["--replication"], "python3", "-c", asking, "Slow?")
    assert.deepInclude(replayed, { code: 0, stdout: "late\n" })
  })

  it("ends with its program, also if that leaves a process behind or closes its output early", async () => {
    const upstream = await startUpstream(["yes", "no"])
    const cache = newCache()
    // The process that stays has the pipes of the command, and the shell ends at once.
    const script = `python3 -c "$ASKING" "Yes or no?"; sleep 600 & echo $! >&2; exec >&- 2>&-; exit 3`
    const child = spawn(
      process.execPath,
      [bin, "run", "--cache", cache, "--upstream", upstream.url, "--json", "--", "sh", "-c", script],
      { ...inherited, ...env, ASKING: asking }
    )
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (stderr += text))
    let stdout = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (stdout += text))
    assert.strictEqual(await new Promise((resolve) => child.on("exit", resolve)), 3)
    const said = () => stderr.includes("\"exit\"")
    await new Promise<void>((resolve) => {
      child.stderr.on("data", () => said() && resolve())
      if (said()) resolve()
    })
    assert.strictEqual(stdout, "yes\n")
    assert.deepInclude(JSON.parse(lastLine(stderr)), { asked: 1, bought: 1, exit: 3 })
    process.kill(Number(stderr.split("\n")[0]), "SIGKILL")
  })

  it.each([["SIGINT", 130], ["SIGQUIT", 131], ["SIGKILL", 137], ["SIGTERM", 143]] as const)(
    "ends with 128 and the number of the signal if %s ends the program, and has written its receipt",
    async (signal, code) => {
      const upstream = await startUpstream(["yes"])
      const script = `python3 -c "$ASKING" "Yes or no?"; kill -${signal.slice(3)} $$`
      const ran = await cli(
        ["run", "--cache", newCache(), "--upstream", upstream.url, "--json", "--", "sh", "-c", script],
        { ...env, ASKING: asking }
      )
      assert.deepInclude(ran, { code, stdout: "yes\n" })
      assert.deepInclude(JSON.parse(lastLine(ran.stderr)), { asked: 1, bought: 1, exit: code })
    }
  )

  it("forwards signals, so that a program can end as it wants", async () => {
    const script = `
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
        process.on(signal, () => {
          console.log(signal)
          if (signal === "SIGHUP") process.exit(5)
        })
      }
      setInterval(() => {}, 1000)
      console.log("ready")
    `
    const child = spawn(
      process.execPath,
      [bin, "run", "--cache", newCache(), "--", process.execPath, "-e", script],
      { ...inherited, ...env }
    )
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
    const next: { readonly [line: string]: NodeJS.Signals } = { ready: "SIGINT", SIGINT: "SIGTERM", SIGTERM: "SIGHUP" }
    const lines: Array<string> = []
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.trim().split("\n")) {
        lines.push(line)
        if (next[line] !== undefined) child.kill(next[line])
      }
    })
    assert.strictEqual(await ended, 5)
    assert.deepStrictEqual(lines, ["ready", "SIGINT", "SIGTERM", "SIGHUP"])
  })
})
