import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { example, makeCache, numberHash, numberPrompt, wordHash } from "./support/caches.ts"
import { cli, objects, shell, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()
const cache = Path.join(folder, "cache")
const hostileCache = Path.join(folder, "hostile.db")

/** ANSI, bidirectional controls, line ends, C1, a backslash, and what looks like an escape. */
const hostile = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eabc\u2066\r\nnext\tcell\u2028\\n\x00\x7f\u200b日本"

beforeAll(async () => {
  await makeCache(cache, example)
  await makeCache(hostileCache, [
    { model: hostile.replaceAll("\x00", ""), prompt: hostile, fork: [hostile], samples: { 0: hostile } },
    { model: "large", prompt: "p", samples: { 0: "x".repeat(1_000_000), 1: "" } }
  ])
})

const show = (...args: ReadonlyArray<string>) => ["show", "--cache", cache, ...args]

// Everything but line feeds, tabs and printed characters. A terminal also gets the carriage returns of its line ends.
const control = /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069\u2028\u200b]/u

describe("show", () => {
  it("has the key, position, text and metadata of each sample", async () => {
    const rows = objects((await cli(show(numberHash, "--json", "--fork", ""))).stdout)
    assert.deepStrictEqual(rows.map(({ position }) => position), [0, 1, 2, 4])
    assert.deepStrictEqual(rows[1], {
      model: "gpt-4o",
      temperature: 1,
      parameters: {},
      fork: [],
      hash: numberHash,
      prompt: numberPrompt,
      position: 1,
      text: "747",
      metadata: {
        request: `gpt-4o ${numberPrompt}  1`,
        index: 0,
        createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
        inputTokens: 10,
        outputTokens: 2
      }
    })
  })

  it.each([
    [["@1-3"], ["747", "131"]],
    [["@0", "--fork", "trial-1"], ["808"]],
    [["@0", "--fork", "trial-1/*"], ["345"]],
    [["--grep", "^74"], ["747"]],
    [["--grep", "number between", "@0"], ["92", "808", "345"]]
  ])("selects by position, fork, and the text of prompt or sample: %j", async (args, texts) => {
    const { code, stdout } = await cli(show(numberHash.slice(0, 6), "--json", ...args))
    assert.sameMembers(objects(stdout).map(({ text }) => text), texts)
    assert.strictEqual(code, 0)
  })

  it("misses a sample with exit code 1", async () => {
    const { code, stderr, stdout } = await cli(show(numberHash, "@3"))
    assert.deepStrictEqual([code, stdout], [1, ""])
    assert.include(stderr, "nothing is selected")
  })

  it("wants to know what to show", async () => {
    const { code, stderr } = await cli(show())
    assert.strictEqual(code, 2)
    assert.include(stderr, "say what to show")
  })

  it("shows texts readably on a terminal", async () => {
    assert.strictEqual(
      (await terminal(80, show(wordHash, "--grep", "."))).stdout,
      `\
meta-llama/Llama-3.1-8B-Instruct, {"max_tokens":100}, prompt ${wordHash}
  Answer
  in one word.

@0  10/2 tokens, 2026-01-02
  Yes
@1  10/2 tokens, 2026-01-02
  No
`
    )
  })

  it("shows the messages of a whole request, and its tools each on a line", async () => {
    const chats = Path.join(folder, "chats.db")
    const call = { id: "call-1", type: "function", function: { name: "add", arguments: "{}" } }
    const prompt = JSON.stringify([
      { role: "user", content: [{ type: "text", text: "Add\nup." }, { type: "image_url", image_url: { url: "u" } }] },
      { content: "\x1bSure.", role: "assistant", tool_calls: [call] },
      { type: "function_call_output", call_id: "call-1", output: "3" }
    ])
    const parameters = { "llm-cache": "chat" }
    await makeCache(chats, [
      { model: "m", parameters, prompt, samples: { 0: "Three." } },
      { model: "plain", prompt, samples: { 0: "As it is." } }
    ])
    const { stdout } = await terminal(80, ["show", "m", "--cache", chats])
    assert.include(
      stdout,
      `\
  user:
    Add
    up.
    image_url: {"image_url":{"url":"u"}}
  assistant:
    \\u001bSure.
    tool_calls: [{"id":"call-1","type":"function","function":{"name":"add","arguments":"{}"}}]
  function_call_output:
    call_id: call-1
    output: 3
`
    )
    const json = objects((await cli(["show", "m", "--cache", chats, "--json"])).stdout)
    assert.deepStrictEqual(json.map((row) => row["prompt"]), [prompt])
    assert.include((await terminal(80, ["show", "plain", "--cache", chats])).stdout, `[{"role":"user"`)
  })

  it("shows reasoning, refusals and the rest of an answer, such as tool calls", async () => {
    const answers = Path.join(folder, "answers.db")
    const rest = { tool_calls: [{ function: { name: "add", arguments: "\x1b" } }] }
    const metadata = { finishReason: "tool_calls", reasoning: "Let me\nthink.", refusal: "No.", rest }
    await makeCache(answers, [{ model: "m", prompt: "p", samples: { 0: "" }, metadata }])
    assert.include(
      (await terminal(80, ["show", "m", "--cache", answers])).stdout,
      `\
@0  tool_calls, 10/2 tokens, 2026-01-02
  reasoning:
  Let me
  think.
  refusal:
  No.
  (empty)
  tool_calls: [{"function":{"name":"add","arguments":"\\u001b"}}]
`
    )
    const [row] = objects((await cli(["show", "m", "--cache", answers, "--json"])).stdout)
    assert.deepInclude(row?.["metadata"], metadata)
  })

  it("says which sample is damaged, shows the others, and ends with exit code 1", async () => {
    const damaged = Path.join(folder, "damaged")
    await makeCache(damaged, [{ model: "m", prompt: "p", samples: { 0: "a", 1: "b", 2: "c" } }])
    const file = Fs.globSync(`${damaged}/**/1.md`)[0]!
    Fs.writeFileSync(file, "changed")
    const { code, stderr, stdout } = await cli(["show", "m", "--cache", damaged, "--json"])
    assert.deepStrictEqual(objects(stdout).map(({ text }) => text), ["a", "c"])
    assert.strictEqual(code, 1)
    assert.include(stderr, "1.md")
  })
})

describe("--raw", () => {
  it("writes the text of one sample to the byte", async () => {
    const line = (args: string) =>
      shell(`llm-cache show ${args} --cache ${hostileCache} --raw | od -An -tx1 -v | tr -d ' \\n'`)
    const { stdout } = await line("@0 --grep abc")
    assert.strictEqual(Buffer.from(stdout, "hex").toString(), hostile)
  })

  it("refuses a terminal, several samples, and none", async () => {
    const onTerminal = await terminal(80, show(wordHash, "@0", "--raw"))
    assert.strictEqual(onTerminal.code, 2)
    assert.notMatch(onTerminal.stdout, /Yes/)
    for (const [args, advice] of [[[wordHash], "several are"], [[wordHash, "@9"], "none is"]] as const) {
      const { code, stderr, stdout } = await cli(show(...args, "--raw"))
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.include(stderr, advice)
    }
  })
})

describe("hostile texts", () => {
  it("never reach a terminal raw, from any command", async () => {
    const copy = Path.join(folder, "copy.db")
    for (
      const args of [
        ["ls", "--cache", hostileCache],
        ["ls", "*", "--cache", hostileCache],
        ["ls", "*", "--cache", hostileCache, "--json"],
        ["show", "--grep", "abc", "--cache", hostileCache],
        ["show", "--grep", "abc", "--cache", hostileCache, "--json"],
        ["show", hostile.slice(0, 20), "--cache", hostileCache],
        ["prune", "--grep", "abc", "--cache", hostileCache],
        ["diff", hostileCache, copy],
        [hostile.replaceAll("\x00", "")],
        ["ls", "--cache", hostile.replaceAll("\x00", "")]
      ]
    ) {
      if (args[0] === "diff") await cli(["copy", hostileCache, copy, "large"])
      for (const columns of [40, 100]) {
        const { stdout } = await terminal(columns, args)
        assert.notMatch(stdout, control, `${JSON.stringify(args)}: ${JSON.stringify(stdout)}`)
        assert.isNotEmpty(stdout)
      }
    }
  }, 60_000)

  it("are one line of fields in a pipe, which can be read back", async () => {
    const { stdout } = await cli(["show", "--grep", "abc", "--cache", hostileCache])
    assert.lengthOf(stdout.split("\n"), 2)
    const text = stdout.split("\t")[7]!
    const read = text.replace(
      /\\(?:u([0-9a-f]{4})|(.))/g,
      (_, hex: string | undefined, character: string) =>
        hex === undefined
          ? { n: "\n", r: "\r", t: "\t", "\\": "\\" }[character]!
          : String.fromCharCode(Number.parseInt(hex, 16))
    )
    assert.strictEqual(read, hostile)
  })

  it("are exact in JSON", async () => {
    const [row] = objects((await cli(["show", "--grep", "abc", "--json", "--cache", hostileCache])).stdout)
    assert.deepInclude(row, { text: hostile, prompt: hostile, fork: [hostile] })
  })

  it("of a million characters come whole", async () => {
    const [row, empty] = objects((await cli(["show", "large", "--json", "--cache", hostileCache])).stdout)
    assert.deepStrictEqual([row?.["text"], empty?.["text"]], ["x".repeat(1_000_000), ""])
    const { stdout } = await terminal(80, ["show", "large", "--cache", hostileCache])
    assert.include(stdout, "x".repeat(1_000_000))
    assert.include(stdout, "(empty)")
  })
})
