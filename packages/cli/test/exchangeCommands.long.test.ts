import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { example, makeCache, numberPrompt } from "./support/caches.ts"
import { cli, objects, shell, temporaryFolder, terminal } from "./support/cli.ts"
import { chat, completion, lines } from "./support/exchange.ts"

const folder = temporaryFolder()
const cache = Path.join(folder, "cache")
const at = (name: string) => Path.join(folder, name)

const write = (name: string, content: string): string => {
  Fs.writeFileSync(at(name), content)
  return at(name)
}

beforeAll(() => makeCache(cache, example))

describe("export and import", () => {
  it("go round through a pipe, to another kind of cache", async () => {
    const { code, stderr, stdout } = await cli(["export", "--cache", cache])
    assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
    const file = write("samples.jsonl", stdout)
    const first = await cli(["import", file, "--cache", at("copy.db"), "--json"])
    assert.deepStrictEqual([first.code, objects(first.stdout), first.stderr], [
      0,
      [{ kind: "summary", copied: 9, present: 0, skipped: 0, damaged: 0 }],
      ""
    ])
    const second = await cli(["import", file, "--cache", at("copy.db")])
    assert.deepStrictEqual([second.code, second.stdout, second.stderr], [
      0,
      "",
      "llm-cache: 0 copied, 9 present\n"
    ])
    assert.strictEqual((await cli(["export", "--cache", at("copy.db")])).stdout, stdout)
  })

  it("take a selection", async () => {
    const { stdout } = await cli([
      "export",
      "gpt-4o",
      "@1-4",
      "--fork",
      "",
      "--grep",
      "number between",
      "--cache",
      cache
    ])
    assert.deepStrictEqual(objects(stdout).map(({ position }) => position), [1, 2, 4])
  })

  it("end quietly when the reader of the pipe goes away", async () => {
    const { code, stderr, stdout } = await shell(
      `llm-cache export --cache '${cache}' | head -1; exit \${PIPESTATUS[0]}`
    )
    assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
    assert.strictEqual(objects(stdout).length, 1)
  })

  it("leave no control character in a line, and import it as it was", async () => {
    const hostile = "\u001b[2J\u009b31m\u202edetrever\u0000"
    await makeCache(at("hostile"), [{ model: "m", prompt: hostile, samples: { 0: hostile } }])
    const { stdout } = await terminal(80, ["export", "--cache", at("hostile")])
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(stdout.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f\u202e]/)
    const exported = await cli(["export", "--cache", at("hostile")])
    await cli(["import", write("hostile.jsonl", exported.stdout), "--cache", at("hostile.db")])
    const shown = await cli(["export", "--cache", at("hostile.db")])
    assert.deepStrictEqual(objects(shown.stdout).map(({ prompt, text }) => [prompt, text]), [[hostile, hostile]])
  })

  it("show how far they have come on a terminal alone", async () => {
    // The first progress shows after a quarter of a second, and so many take longer on any machine.
    const many = Array.from(
      { length: 10_000 },
      (_, i) => ({ model: "m", prompt: `Problem ${i}`, position: 0, text: "a" })
    )
    const args = ["import", write("many.jsonl", lines(...many)), "--cache"]
    const { stdout } = await terminal(80, [...args, at("many.db")])
    assert.match(stdout, /\d00 samples, 0 left out/)
    assert.match(stdout, /10,000 copied/)
    assert.strictEqual(
      (await cli([...args, at("many.db")])).stderr,
      "llm-cache: 0 copied, 10,000 present\n"
    )
  })

  it("tell what was left out, with the first place of each reason", async () => {
    const entry = (request: object, status = 200) => ({
      request: { url: "https://api.openai.com/v1/chat/completions", postData: { text: JSON.stringify(request) } },
      response: { status, content: { text: JSON.stringify(completion("chatcmpl-1", "92")) } }
    })
    const file = write(
      "traffic.har",
      JSON.stringify({ log: { entries: [entry(chat("p")), entry(chat("p"), 500), entry(chat("q"), 500)] } })
    )
    const told = await cli(["import", file, "--cache", at("har")])
    assert.deepStrictEqual([told.code, told.stderr], [
      0,
      "llm-cache: skipped: 2 times, first entry 2: the provider answered with status 500\n" +
      "llm-cache: 1 copied, 2 skipped\n"
    ])
    const json = await cli(["import", file, "--cache", at("har"), "--json"])
    assert.deepStrictEqual(objects(json.stdout), [
      { kind: "skipped", reason: "the provider answered with status 500", first: "entry 2", count: 2 },
      { kind: "summary", copied: 0, present: 1, skipped: 2, damaged: 0 }
    ])
  })

  it("exit with 1 for damage and for files that cannot be imported, with 2 for arguments, with 3 for the cache", async () => {
    const damaged = write("damaged.jsonl", lines({ model: "m", prompt: "p", text: "a", position: 0 }, "{"))
    const hashes = write("generations.json", JSON.stringify([{ text: "92" }]))
    const conflict = write(
      "conflict.jsonl",
      lines({ model: "gpt-4o", temperature: 1, prompt: numberPrompt, text: "?", position: 0 })
    )
    assert.strictEqual((await cli(["import", damaged, "--cache", at("d")])).code, 1)
    const only = await cli(["import", hashes, "--cache", at("d")])
    assert.strictEqual(only.code, 1)
    assert.match(only.stderr, /only a hash/)
    assert.strictEqual((await cli(["import", conflict, "--cache", cache])).code, 1)
    assert.strictEqual((await cli(["import", at("missing"), "--cache", at("d")])).code, 2)
    assert.strictEqual((await cli(["import", damaged, "--cache", `${damaged}/below`])).code, 3)
    assert.strictEqual((await cli(["export", "--cache", at("missing")])).code, 3)
  })
})

describe("batch", () => {
  it("make asks for what the cache lacks, and import reads it back", async () => {
    const prompts = write(
      "prompts.jsonl",
      lines(JSON.stringify(numberPrompt), { prompt: numberPrompt, fork: ["trial-1"], count: 1 }, {
        prompt: "new",
        fork: ["f"]
      })
    )
    const flags = ["--prompts", prompts, "--model", "gpt-4o", "--temperature", "1", "--count", "6", "--cache", cache]
    const made = await cli(["batch", "make", at("batch.jsonl"), ...flags, "--json"])
    assert.deepStrictEqual([made.code, objects(made.stdout)], [
      0,
      [{ kind: "summary", requests: 8, present: 5, unfit: 0 }]
    ])
    const requests = objects(Fs.readFileSync(at("batch.jsonl"), "utf8")) as ReadonlyArray<any>
    assert.deepStrictEqual(requests.map(({ body }) => body.messages[0].content), [
      numberPrompt,
      numberPrompt,
      ...Array(6).fill("new")
    ])
    const answers = requests.slice(1).toReversed().map(({ custom_id }, i) => ({
      id: `batch_req_${i}`,
      custom_id,
      response: { status_code: 200, body: completion(`chatcmpl-${i}`, `answer ${i}`) }
    }))
    const output = write("output.jsonl", lines(...answers))
    await cli(["export", "--cache", cache]).then(({ stdout }) => write("before.jsonl", stdout))
    const read = () => cli(["batch", "import", output, "--requests", at("batch.jsonl"), "--cache", cache, "--json"])
    const first = await read()
    assert.strictEqual(first.code, 1)
    assert.deepInclude(objects(first.stdout)[0], { kind: "damaged", reason: "the batch has no answer to this request" })
    assert.deepStrictEqual(objects(first.stdout)[1], { kind: "summary", copied: 7, present: 0, skipped: 0, damaged: 1 })
    assert.deepInclude(objects((await read()).stdout)[1], { copied: 0, present: 7 })
    const after = await cli(["export", "--grep", "new|between", "--cache", cache])
    const found = objects(after.stdout).map(({ fork, position, text }) =>
      `${fork as string} ${position as number} ${text as string}`
    )
    // The gap at position 3 is filled first.
    assert.includeMembers(found, ["[] 3 answer 6", "[\"f\"] 0 answer 0", "[\"f\"] 5 answer 5"])
    const again = await cli(["batch", "make", at("batch2.jsonl"), ...flags, "--json"])
    assert.deepInclude(objects(again.stdout)[0], { requests: 1, present: 12 })
  })

  it("make adds up the counts of a prompt that several lines have", async () => {
    const prompts = write("several.jsonl", lines({ prompt: "twice", count: 2 }, { prompt: "twice", count: 3 }))
    const samples = write(
      "two.jsonl",
      lines(...[0, 1].map((position) => ({ model: "m", prompt: "twice", position, text: "x" })))
    )
    await cli(["import", samples, "--cache", at("several")])
    const made = await cli(
      [
        "batch",
        "make",
        at("several-batch.jsonl"),
        "--prompts",
        prompts,
        "--model",
        "m",
        "--cache",
        at("several"),
        "--json"
      ]
    )
    assert.deepStrictEqual(objects(made.stdout), [{ kind: "summary", requests: 3, present: 2, unfit: 0 }])
  })

  it("make writes no file over another, and Anthropic's form if asked", async () => {
    const prompts = write(
      "claude.jsonl",
      lines({ prompt: "p", count: 2, parameters: { max_tokens: 5 } }, { prompt: "q" })
    )
    const args = ["--prompts", prompts, "--model", "claude", "--anthropic", "--cache", at("claude"), "--json"]
    const made = await cli(["batch", "make", at("claude.json"), ...args])
    assert.strictEqual(made.code, 1)
    assert.match(made.stderr, /max_tokens/)
    assert.deepStrictEqual(objects(made.stdout), [{ kind: "summary", requests: 2, present: 0, unfit: 1 }])
    const { requests } = JSON.parse(Fs.readFileSync(at("claude.json"), "utf8"))
    assert.deepStrictEqual(
      requests.map(({ params }: any) => params),
      Array.from({ length: 2 }, () => ({
        model: "claude",
        max_tokens: 5,
        messages: [{ role: "user", content: "p" }]
      }))
    )
    assert.strictEqual((await cli(["batch", "make", at("claude.json"), ...args])).code, 2)
    assert.strictEqual(JSON.parse(Fs.readFileSync(at("claude.json"), "utf8")).requests.length, 2)
  })

  it("says which argument is wrong", async () => {
    const prompts = write("p.jsonl", lines(JSON.stringify("p")))
    const make = (...args: ReadonlyArray<string>) =>
      cli(["batch", "make", at("x.jsonl"), "--prompts", prompts, "--cache", at("x"), ...args])
    assert.match((await make()).stderr, /--model/)
    assert.strictEqual((await make("--model", "m", "--parameters", "[]")).code, 2)
    assert.strictEqual((await make("--model", "m", "--count", "-1")).code, 2)
    const missing = await cli(["batch", "import", at("none"), "--requests", prompts, "--cache", at("x")])
    assert.strictEqual(missing.code, 2)
    assert.match((await cli(["batch", "--help"])).stdout, /make[\s\S]*import/)
  })
})
