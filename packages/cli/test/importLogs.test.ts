import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Zip from "effect/encoding/Zip"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { filesOfZip } from "../src/import/files.ts"
import { completion, contents, file, folder, imported, key } from "./support/exchange.ts"

const archive = (...files: ReadonlyArray<readonly [string, string]>) =>
  Effect.flatMap(
    Stream.fromIterable(files.map(([name, content]) => Zip.file(name, content))).pipe(
      Stream.pipeThroughChannel(Zip.encode()),
      Stream.runCollect
    ),
    (chunks) => file("log.eval", Buffer.concat(chunks))
  )

const long = `A number${"?".repeat(200)}`

const event = (more: object = {}) => ({
  event: "model",
  uuid: "u1",
  timestamp: "2026-11-01T10:00:00+00:00",
  completed: "2026-11-01T10:00:01+00:00",
  model: "openai/gpt-4o",
  input: [{ role: "system", content: "Be brief." }, {
    id: "x",
    role: "user",
    content: "attachment://h1",
    source: "input"
  }],
  tools: [],
  tool_choice: "none",
  config: { temperature: 0.5, max_tokens: 9, stop_seqs: ["\n"], max_connections: 10, seed: null },
  output: {
    model: "gpt-4o-2024",
    choices: [
      { message: { role: "assistant", content: "92" }, stop_reason: "stop" },
      {
        message: {
          role: "assistant",
          content: [{ type: "reasoning", reasoning: "Hm." }, { type: "text", text: "747" }]
        },
        stop_reason: "max_tokens"
      }
    ],
    usage: { input_tokens: 5, output_tokens: 6 },
    time: 0.75
  },
  ...more
})

const sample = (...events: ReadonlyArray<unknown>) => ({ id: 7, epoch: 1, attachments: { h1: long }, events })

const identity = { model: "gpt-4o", temperature: 0.5, parameters: { max_tokens: 9, stop: ["\n"], system: "Be brief." } }

describe("a log of Inspect", () => {
  const files = [
    ["JSON", (sample: unknown) => file("log.json", JSON.stringify({ version: 2, eval: {}, samples: [sample] }))],
    [
      "an archive",
      (sample: unknown) =>
        archive(["_journal/start.json", "{}"], ["samples/7_epoch_1.json", JSON.stringify(sample)], [
          "header.json",
          "{}"
        ])
    ]
  ] as const

  for (const [form, write] of files) {
    it.effect(`as ${form} gives the samples of its calls, once`, () =>
      Effect.gen(function*() {
        const path = yield* write(sample({ event: "state" }, event()))
        const { problems, to } = yield* imported(path)
        assert.deepStrictEqual(problems, [])
        const number = yield* key(identity, long)
        assert.deepStrictEqual((yield* to.getMany(number, 0, 9)).map(({ text }) => text), ["92", "747"])
        const { metadata } = (yield* to.get(number, 1))!
        assert.include(metadata, {
          request: "u1",
          index: 1,
          finishReason: "max_tokens",
          reasoning: "Hm.",
          createdAt: Date.parse("2026-11-01T10:00:01Z"),
          elapsed: 750,
          requestSamples: 2,
          inputTokens: 5
        })
        assert.strictEqual((yield* imported(path, { to })).counts.present, 2)
      }))
  }

  it.effect("is read where messages are in a pool, and calls as the provider had them", () =>
    Effect.gen(function*() {
      const pool = [{ role: "user", content: "no" }, { role: "user", content: "attachment://h1" }]
      const path = yield* files[0][1]({
        ...sample(
          event({ uuid: "u2", input: [], input_refs: [[1, 2]] }),
          event({
            uuid: "u3",
            call: {
              request: { model: "gpt-4o", temperature: 1 },
              response: completion("chatcmpl-1", "131"),
              call_refs: [[0, 1]],
              call_key: "messages"
            }
          })
        ),
        events_data: { messages: pool, calls: [{ role: "user", content: "raw" }] }
      })
      const { problems, to } = yield* imported(path)
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(yield* contents(to), {
        [`gpt-4o, temperature 0.5, {"max_tokens":9,"stop":["\\n"]} | ${long}`]: ["0: 92", "1: 747"],
        "gpt-4o, temperature 1 | raw": ["0: 131"]
      })
    }))

  it.effect("leaves out calls that are no draws or not plain, and tells why", () =>
    Effect.gen(function*() {
      const path = yield* files[1][1](sample(
        event({ cache: "read" }),
        event({ error: "timeout" }),
        event({ pending: true }),
        event({ tools: [{ name: "bash" }] }),
        event({ output: { choices: [] } }),
        event({ model: 3 })
      ))
      const { problems } = yield* imported(path)
      assert.deepStrictEqual(problems.map((problem) => problem.replace("sample 7, epoch 1, ", "")), [
        "skipped: call 1: the cache of Inspect answered it: it is no draw",
        "skipped: call 2: it failed, or has no end",
        "skipped: call 3: it failed, or has no end",
        "skipped: call 4: it has `tools`",
        "damaged: call 5: its output has no texts",
        "skipped: call 6: its request names no model"
      ])
    }))

  it.effect("with torn samples, hostile names or a cut end is told", () =>
    Effect.gen(function*() {
      const whole = JSON.stringify(sample(event()))
      const path = yield* archive(
        ["header.json", "{}"],
        ["samples/../../../../tmp/evil.json", whole],
        ["samples/torn.json", whole.slice(0, 99)],
        ["samples/none.json", "{\"id\":1}"]
      )
      const { counts, problems } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 2, present: 0, skipped: 0, damaged: 2 })
      assert.deepStrictEqual(problems, [
        "damaged: samples/torn.json: it is not a whole JSON object",
        "damaged: sample 1, epoch undefined: its events were not recorded"
      ])
      assert.isFalse(Fs.existsSync("/tmp/evil.json"))
      Fs.truncateSync(path, 200)
      assert.match((yield* Effect.flip(imported(path))).message, /damaged/)
    }))

  it.effect("that unpacks without end is refused before memory is full", () =>
    Effect.gen(function*() {
      const zeros = new Uint8Array(2 ** 24)
      const bomb = Stream.fromIterable([
        Zip.file("header.json", "{}"),
        Zip.fileStream("samples/1.json", Stream.take(Stream.forever(Stream.succeed(zeros)), 20))
      ]).pipe(Stream.pipeThroughChannel(Zip.encode()), Stream.runCollect)
      const path = yield* file("bomb.eval", Buffer.concat(yield* bomb))
      assert.isBelow(Fs.statSync(path).size, 2 ** 20)
      assert.match((yield* Effect.flip(imported(path))).message, /too large/)
    }))
})

it.effect("an archive of many files is read up to a limit of all their bytes", () =>
  Effect.gen(function*() {
    const path = yield* archive(["a", "x".repeat(60)], ["b", "y".repeat(60)])
    assert.lengthOf(yield* Stream.runCollect(filesOfZip(path, 120)), 2)
    assert.match((yield* Effect.flip(Stream.runCollect(filesOfZip(path, 119)))).message, /too large/)
  }))

const database = (use: (db: DatabaseSync) => void) =>
  Effect.map(folder, (folder) => {
    const path = Path.join(folder, "logs.db")
    const db = new DatabaseSync(path)
    use(db)
    db.close()
    return path
  })

const responses = `CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT,
  options_json TEXT, response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT,
  input_tokens INTEGER, output_tokens INTEGER, token_details TEXT, schema_id TEXT, resolved_model TEXT)`

describe("logs.db of llm", () => {
  it.effect("gives the first prompts of conversations, once", () =>
    Effect.gen(function*() {
      const path = yield* database((db) => {
        db.exec(responses)
        const insert = db.prepare(
          "INSERT INTO responses (id, model, prompt, system, options_json, response, conversation_id, duration_ms, " +
            "datetime_utc, input_tokens, schema_id, resolved_model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        const time = "2026-11-01T10:00:00.000000"
        insert.run(
          "r1",
          "gpt-4o",
          "A number?",
          "Be brief.",
          "{\"temperature\":0.7}",
          "92",
          "c1",
          500,
          time,
          4,
          null,
          "gpt-4o-2"
        )
        insert.run("r2", "gpt-4o", "Another?", null, "{}", "747", "c1", 1, time, 4, null, null)
        insert.run(
          "r3",
          "gpt-4o",
          "A number?",
          "Be brief.",
          "{\"temperature\":0.7}",
          "16",
          "c2",
          1,
          time,
          4,
          null,
          null
        )
        insert.run("r4", "gpt-4o", "With a schema", null, "{}", "{}", "c3", 1, time, 4, "s1", null)
        insert.run("r5", "gpt-4o", "With a picture", null, "{}", "cat", "c4", 1, time, 4, null, null)
        insert.run("r6", "gpt-4o", null, null, "{}", null, "c5", 1, time, 4, null, null)
        db.exec("CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT)")
        db.exec("INSERT INTO prompt_attachments VALUES ('r5', 'a')")
      })
      const { counts, problems, to } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 2, present: 0, skipped: 3, damaged: 1 })
      assert.deepStrictEqual(problems, [
        "skipped: response r2: its messages are a conversation",
        "skipped: response r4: it has a schema",
        "skipped: response r5: it has attachments",
        "damaged: response r6: it has no prompt or no response"
      ])
      const number = yield* key({ model: "gpt-4o", temperature: 0.7, parameters: { system: "Be brief." } }, "A number?")
      assert.deepStrictEqual((yield* to.getMany(number, 0, 9)).map(({ text }) => text), ["92", "16"])
      assert.deepStrictEqual((yield* to.get(number, 0))!.metadata, {
        request: "r1",
        index: 0,
        requestSamples: 1,
        model: "gpt-4o-2",
        createdAt: Date.parse("2026-11-01T10:00:00.500Z"),
        elapsed: 500,
        inputTokens: 4
      })
      assert.strictEqual((yield* imported(path, { to })).counts.present, 2)
    }))

  it.effect("with messages in a tree is read", () =>
    Effect.gen(function*() {
      const path = yield* database((db) => {
        db.exec(
          "CREATE TABLE turns (id TEXT PRIMARY KEY, model TEXT, options_json TEXT, input_node_id TEXT, output_node_id TEXT)"
        )
        db.exec("CREATE TABLE messages (id TEXT PRIMARY KEY, role TEXT, parts TEXT)")
        db.exec("CREATE TABLE message_nodes (id TEXT PRIMARY KEY, parent_id TEXT, message_id TEXT, depth INTEGER)")
        const message = db.prepare("INSERT INTO messages VALUES (?, ?, ?)")
        const text = (text: string) => JSON.stringify([{ type: "text", text }])
        message.run("m1", "user", text("A number?"))
        message.run(
          "m2",
          "assistant",
          JSON.stringify([{ type: "reasoning", text: "Hm." }, { type: "text", text: "92" }])
        )
        message.run("m3", "user", JSON.stringify([{ type: "attachment", attachment_id: "a" }]))
        const node = db.prepare("INSERT INTO message_nodes VALUES (?, ?, ?, ?)")
        node.run("n1", null, "m1", 1)
        node.run("n2", "n1", "m2", 2)
        node.run("n3", "n2", "m1", 3)
        node.run("n4", "n3", "m2", 4)
        node.run("n5", null, "m3", 1)
        node.run("n6", "n5", "m2", 2)
        message.run("m4", "system", text("Be brief."))
        node.run("n7", null, "m4", 1)
        node.run("n8", "n7", "m1", 2)
        node.run("n9", "n8", "m2", 3)
        node.run("n10", "n9", "m2", 4)
        node.run("loop", "loop", "m1", 1)
        const turn = db.prepare("INSERT INTO turns VALUES (?, 'gpt-4o', '{\"temperature\":1}', ?, ?)")
        turn.run("t1", "n1", "n2")
        turn.run("t2", "n3", "n4")
        turn.run("t3", "n5", "n6")
        turn.run("t4", "loop", "loop")
        turn.run("t5", "n8", "n9")
        turn.run("t6", "n8", "n10")
      })
      const { problems, to } = yield* imported(path)
      assert.deepStrictEqual(yield* contents(to), {
        "gpt-4o, temperature 1 | A number?": ["0: 92"],
        "gpt-4o, temperature 1, {\"system\":\"Be brief.\"} | A number?": ["0: 92"]
      })
      assert.deepStrictEqual(problems, [
        "skipped: response t2: its messages are a conversation",
        "skipped: response t3: it has attachments or tools",
        "skipped: response t4: its messages are a conversation",
        "skipped: response t6: it has attachments or tools"
      ])
    }))

  it.effect("that is damaged is told", () =>
    Effect.gen(function*() {
      const path = yield* file("logs.db", `SQLite format 3\0${"x".repeat(5000)}`)
      assert.strictEqual((yield* Effect.flip(imported(path)))._tag, "ImportError")
    }))
})

describe("a cache that keeps only hashes", () => {
  const explains = Effect.fnUntraced(function*(path: string, words: RegExp) {
    const { message } = yield* Effect.flip(imported(path))
    assert.match(message, /only a hash of each request/)
    assert.match(message, words)
  })

  it.effect("is recognised: LiteLLM, DSPy, LangChain.js", () =>
    Effect.gen(function*() {
      const diskcache = yield* database((db) => {
        db.exec("CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, value BLOB)")
        db.exec("CREATE TABLE Settings (key TEXT, value BLOB)")
      })
      yield* explains(diskcache, /LiteLLM and DSPy/)
      const litellm = yield* folder
      Fs.copyFileSync(diskcache, `${litellm}/cache.db`)
      yield* explains(litellm, /LiteLLM and DSPy/)
      const dspy = yield* folder
      Fs.mkdirSync(`${dspy}/000`)
      yield* explains(dspy, /LiteLLM and DSPy/)
      const generations = JSON.stringify([{ text: "92", message: { type: "ai", data: { content: "92" } } }])
      const langchain = yield* folder
      Fs.writeFileSync(`${langchain}/${"0".repeat(64)}.json`, generations)
      yield* explains(langchain, /LangChain\.js/)
      yield* explains(`${langchain}/${"0".repeat(64)}.json`, /LangChain\.js/)
    }))

  it.effect("is told from other files, which are none of the formats", () =>
    Effect.gen(function*() {
      for (
        const content of ["", "hello", "{}", "[]", "3", "null", "http_interactions: []\n", "version: 1\n", "a: [\n"]
      ) {
        const error = yield* Effect.flip(imported(yield* file("file", content)))
        assert.strictEqual(error._tag, "ImportError", content)
        assert.notMatch(error.message, /only a hash/)
      }
      assert.strictEqual((yield* Effect.flip(imported("/no/such/file")))._tag, "ImportError")
      assert.strictEqual((yield* Effect.flip(imported(yield* folder)))._tag, "ImportError")
      const other = yield* database((db) => db.exec("CREATE TABLE t (x)"))
      assert.match((yield* Effect.flip(imported(other))).message, /no log of llm/)
    }))
})
