import { assert, describe, it } from "@effect/vitest"
import { Identity, Key, LlmModel, Persistent, SampleStore } from "@llm-cache/core"
import { Effect, Stream } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { SqliteStore } from "../src/index.ts"
import { statements } from "../src/internal/schema.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))),
  (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true }))
)
const newFile = Effect.map(folder, (root) => Path.join(root, "samples.db"))

const keyOf = (prompt: string) =>
  Effect.map(Identity.make({ model: "m", temperature: 1 }), (identity) => new Key.Key(identity, prompt, []))

const put = (store: SampleStore.Store, key: Key.Key, position: number, text = "a") =>
  store.put(
    key,
    [{ position, drawn: { text, metadata: { finishReason: "stop", outputTokens: 3 }, origins: [] } }],
    "drop"
  )

const provider = LlmModel.layer({
  model: "m",
  temperature: 1,
  generate: ({ n }) => Effect.succeed({ samples: Array.from({ length: n }, () => "bought") })
})

describe("the file", () => {
  it.effect("is made when the first sample is recorded, for its owner alone, and its folders too", () =>
    Effect.gen(function*() {
      const root = yield* folder
      const file = Path.join(root, "a", "b", "samples.db")
      const store = yield* SqliteStore.make({ file })
      const key = yield* keyOf("p")
      assert.isUndefined(yield* store.get(key, 0))
      assert.deepStrictEqual(yield* Stream.runCollect(store.keys), [])
      assert.deepStrictEqual(Fs.readdirSync(root), [])
      yield* put(store, key, 0)
      assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(Fs.statSync(Path.dirname(file)).mode & 0o777, 0o700)
    }))

  it.effect("in replication is neither made nor changed", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const replicate = LlmModel.sampleOne("p").pipe(
        Effect.provide(SqliteStore.layerPersistent({ file, replication: true })),
        Effect.provide(provider)
      )
      assert.strictEqual((yield* Effect.flip(replicate))._tag, "ReplicationCacheMiss")
      assert.isFalse(Fs.existsSync(file))
      const record = LlmModel.sampleOne("p").pipe(Effect.provide(SqliteStore.layerPersistent({ file })))
      yield* Effect.provide(record, provider)
      const before = Fs.readFileSync(file)
      assert.strictEqual(yield* replicate, "bought")
      assert.isTrue(before.equals(Fs.readFileSync(file)))
    }))

  it.effect.each([
    ["that is no database", "this is no database, but a text of some length".repeat(100)],
    ["of another program", ""]
  ])("%s is refused when it is opened, and left alone", ([what, content]) =>
    Effect.gen(function*() {
      const file = yield* newFile
      if (content !== "") Fs.writeFileSync(file, content!)
      else {
        const db = new DatabaseSync(file)
        db.exec("create table theirs (a)")
        db.close()
      }
      const before = Fs.readFileSync(file)
      const error = yield* Effect.flip(SqliteStore.make({ file }))
      assert.strictEqual(error._tag, "StoreError", what)
      assert.isTrue(before.equals(Fs.readFileSync(file)))
    }))

  it.effect("of a later version is refused, with what to do", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      yield* Effect.scoped(
        Effect.flatMap(SqliteStore.make({ file }), (store) => Effect.flatMap(keyOf("p"), (key) => put(store, key, 0)))
      )
      const db = new DatabaseSync(file)
      db.exec("pragma user_version = 1000")
      db.close()
      assert.include((yield* Effect.flip(SqliteStore.make({ file }))).message, "update @llm-cache/sqlite")
    }))

  it.effect("can be read by any SQLite shell, with what is known of each sample in columns", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const store = yield* SqliteStore.make({ file })
      yield* put(store, yield* keyOf("a prompt"), 0, "a sample")
      const db = new DatabaseSync(file, { readOnly: true })
      const row = db.prepare(
        "select prompt, position, text, finish_reason, output_tokens from samples join keys on digest = key"
      ).get()
      db.close()
      assert.deepStrictEqual({ ...row }, {
        prompt: "a prompt",
        position: 0,
        text: "a sample",
        finish_reason: "stop",
        output_tokens: 3
      })
    }))

  it.effect.runIf(process.getuid?.() === 0)(
    "that may not be written is refused before anything is bought, and replays",
    () =>
      Effect.gen(function*() {
        const file = yield* newFile
        yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) =>
          Effect.flatMap(keyOf("p"), (key) =>
            put(store, key, 0, "recorded"))))
        Fs.chmodSync(Path.dirname(file), 0o755)
        Fs.chmodSync(file, 0o644)
        const script = Path.join(import.meta.dirname, "support/draw.ts")
        const printed = ChildProcess.execFileSync(process.execPath, [script, file], { encoding: "utf8" })
        assert.deepStrictEqual(JSON.parse(printed), ["recorded", "StoreError Unavailable", "recorded", 0])
      })
  )

  it.effect("that is deleted, replaced or cut off while it is used: an error, and nothing that is bought is lost", () =>
    Effect.gen(function*() {
      for (
        const spoil of [
          (file: string) => Fs.rmSync(file),
          (file: string) => Fs.truncateSync(file, 100),
          (file: string) => {
            Fs.rmSync(file)
            Fs.writeFileSync(file, "garbage ".repeat(1000))
          }
        ]
      ) {
        const file = yield* newFile
        const store = yield* SqliteStore.make({ file })
        const saved = `${file}.saved`
        let bought = 0
        const model = yield* LlmModel.make({
          model: "m",
          temperature: 1,
          generate: ({ prompt }) =>
            Effect.sync(() => {
              bought++
              if (prompt === "q") {
                Fs.copyFileSync(file, saved)
                spoil(file)
              }
              return { samples: [prompt] }
            })
        })
        const persistent = yield* Persistent.make(model, store)
        const draw = (prompt: string) =>
          LlmModel.sampleOne(prompt).pipe(Effect.provideService(LlmModel.LlmModel, persistent))
        yield* draw("p")
        const error = yield* Effect.flip(draw("q"))
        assert.strictEqual(error._tag, "StoreError")
        for (const suffix of ["", "-wal", "-shm"]) Fs.rmSync(`${file}${suffix}`, { force: true })
        Fs.renameSync(saved, file)
        assert.strictEqual(yield* draw("q"), "q")
        assert.strictEqual(bought, 2)
      }
    }))

  it.effect("many recordings at once share a transaction, and one that fails takes no other along", () =>
    Effect.gen(function*() {
      const store = yield* SqliteStore.make({ file: yield* newFile })
      const keys = yield* Effect.forEach(Array.from({ length: 64 }, (_, i) => `p${i}`), keyOf)
      const results = yield* Effect.forEach(
        keys,
        (key, i) => Effect.exit(put(store, key, i === 10 ? 0.5 : 0)),
        { concurrency: "unbounded" }
      )
      for (const [i, key] of keys.entries()) {
        assert.strictEqual(results[i]!._tag, i === 10 ? "Failure" : "Success")
        if (i !== 10) assert.strictEqual((yield* store.get(key, 0))?.text, "a")
      }
    }))
})

it.effect("what runs for each sample looks rows up, however many there are", () =>
  Effect.gen(function*() {
    const file = yield* newFile
    const store = yield* SqliteStore.make({ file })
    yield* put(store, yield* keyOf("p"), 0)
    const db = new DatabaseSync(file, { readOnly: true })
    const each = ["get", "positions", "held", "putSample", "putKey", "putIdentity", "remove", "leaseOfAnother"] as const
    for (const name of [...each, "expireLeases", "putLease", "removeLease", "prompts"] as const) {
      const sql = statements[name]
      const parameters = Array.from(sql.matchAll(/\?/g), () => null)
      const plan = db.prepare(`explain query plan ${sql}`).all(...parameters).map(({ detail }) => String(detail))
      for (const step of plan) assert.notMatch(step, /^SCAN (?!CONSTANT)/, `${name}: ${step}`)
    }
    db.close()
  }))
