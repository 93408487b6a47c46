import { assert, describe, it } from "@effect/vitest"
import { LlmModel, Persistent, type Sample, SampleStore } from "@llm-cache/core"
import { TestModel } from "@llm-cache/testing"
import { Effect, Exit, Fiber, Result, Stream } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { vi } from "vitest"
import { SqliteStore } from "../src/index.ts"
import { migrations, readStatements, writeStatements } from "../src/internal/schema.ts"
import { folder, keyOf, newFile, put } from "./support/file.ts"

const provider = TestModel.layer({ model: "m" })

describe("the file", () => {
  it.effect("and its folders are created with the first sample, for their owner alone", () =>
    Effect.gen(function*() {
      const root = yield* folder
      const file = Path.join(root, "a", "b", "samples.db")
      const store = yield* SqliteStore.make({ file })
      const key = yield* keyOf("p")
      assert.isUndefined(yield* store.get(key, 0))
      assert.deepStrictEqual(yield* Stream.runCollect(store.keys()), [])
      assert.deepStrictEqual(Fs.readdirSync(root), [])
      yield* put(store, key, 0)
      assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(Fs.statSync(Path.dirname(file)).mode & 0o777, 0o700)
    }))

  it.effect("is neither created nor changed by replication", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const replicate = LlmModel.sampleOne("p").pipe(
        Effect.provide(Persistent.layer({ store: SqliteStore.layer({ file }), replication: true })),
        Effect.provide(provider)
      )
      assert.strictEqual((yield* Effect.flip(replicate))._tag, "ReplicationCacheMiss")
      assert.isFalse(Fs.existsSync(file))
      Fs.writeFileSync(file, "")
      assert.strictEqual((yield* Effect.flip(replicate))._tag, "ReplicationCacheMiss")
      assert.strictEqual(Fs.statSync(file).size, 0)
      const record = LlmModel.sampleOne("p").pipe(
        Effect.provide(Persistent.layer({ store: SqliteStore.layer({ file }) }))
      )
      yield* Effect.provide(record, provider)
      const before = Fs.readFileSync(file)
      assert.strictEqual(yield* replicate, "p #0")
      assert.isTrue(before.equals(Fs.readFileSync(file)))
    }))

  it.effect.each([
    ["that is not a database", "this is no database, but a text of some length".repeat(100)],
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

  it.effect("that cannot be one (a folder, below a file) is refused, and nothing is created", () =>
    Effect.gen(function*() {
      const root = yield* folder
      Fs.writeFileSync(Path.join(root, "file"), "theirs")
      for (const file of [root, Path.join(root, "file", "samples.db")]) {
        const error = yield* Effect.flip(SqliteStore.make({ file }))
        assert.strictEqual(error._tag, "StoreError", file)
      }
      assert.deepStrictEqual(Fs.readdirSync(root), ["file"])
    }))

  it.effect("without a name, or in memory, is invalid input", () =>
    Effect.gen(function*() {
      for (const file of ["", "a\0b", ":memory:", undefined as never]) {
        const error = yield* Effect.flip(SqliteStore.make({ file }))
        assert.strictEqual(error._tag, "InvalidInput", file)
        assert.include(error.message, "SqliteStore.make: `file`")
      }
    }))

  it.effect.each([
    ["has no node:sqlite", undefined],
    ["has an old node:sqlite", { StatementSync: Object }]
  ])("is refused by a Node that %s, and the error names a newer one", ([, sqlite]) =>
    Effect.gen(function*() {
      const file = yield* newFile
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(process, "getBuiltinModule").mockReturnValue(sqlite as never)),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      const error = yield* Effect.flip(SqliteStore.make({ file }))
      assert.strictEqual(error._tag, "StoreError")
      assert.include(error.message, "Use Node 22.20 or later")
    }))

  it.effect("is in the home folder after a ~", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const before = process.env["HOME"]
      yield* Effect.acquireRelease(
        Effect.sync(() => void (process.env["HOME"] = home)),
        () => Effect.sync(() => void (process.env["HOME"] = before))
      )
      yield* put(yield* SqliteStore.make({ file: "~/samples.db" }), yield* keyOf("p"), 0)
      assert.isTrue(Fs.existsSync(Path.join(home, "samples.db")))
    }))

  it.effect("of a later version is refused, and the error says to update the library", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      yield* Effect.scoped(
        Effect.flatMap(SqliteStore.make({ file }), (store) => Effect.flatMap(keyOf("p"), (key) => put(store, key, 0)))
      )
      const db = new DatabaseSync(file)
      db.exec("pragma user_version = 1000")
      db.close()
      assert.include((yield* Effect.flip(SqliteStore.make({ file }))).message, "update the library")
    }))

  it.effect("of the first version is read as it is, and migrated by the first write", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const key = yield* keyOf("p")
      const using = <A, E>(use: (store: SampleStore.Store) => Effect.Effect<A, E>) =>
        Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), use))
      const sql = (text: string) => {
        const db = new DatabaseSync(file)
        db.exec(text)
        db.close()
      }
      yield* using((store) => put(store, key, 0))
      sql(`drop index keys_by_prompt; alter table keys drop column prompt_sha256;
        alter table samples drop column metadata; pragma user_version = 1`)
      const before = Fs.readFileSync(file)
      const old = yield* SqliteStore.make({ file })
      const listed = Effect.all([
        Stream.runCollect(old.identities),
        Stream.runCollect(old.keys({ promptHash: key.promptHash.slice(0, 6) }))
      ])
      const [identities, keys] = yield* listed
      assert.deepStrictEqual(identities, [Result.succeed({
        identity: key.identity,
        prompts: 1,
        samples: 1,
        forks: 0,
        inputTokens: 0,
        outputTokens: 3,
        last: undefined
      })])
      assert.deepStrictEqual(keys.map(Result.getOrThrow).map(({ key }) => key.prompt), ["p"])
      assert.deepStrictEqual((yield* old.get(key, 0))?.metadata, { finishReason: "stop", outputTokens: 3 })
      yield* using((store) => store.getMany(key, 0, 2))
      assert.isTrue(before.equals(Fs.readFileSync(file)))
      const entry = { position: 1, drawn: { text: "b", metadata: { refusal: "no" }, origins: [] } }
      yield* using((store) => store.put(key, [entry], "drop"))
      assert.deepStrictEqual(yield* old.getMany(key, 0, 2), [
        { text: "a", metadata: { finishReason: "stop", outputTokens: 3 }, origins: [] },
        entry.drawn
      ])
    }))

  it.effect("can be read by any SQLite shell, with the metadata of samples in columns", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const store = yield* SqliteStore.make({ file })
      yield* put(store, yield* keyOf("a prompt"), 0, "a sample")
      const db = new DatabaseSync(file, { readOnly: true })
      const row = db.prepare(
        "select prompt, position, text, finish_reason, output_tokens from samples join keys on keys.id = key"
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

  it.effect("holds texts with a NUL as blobs, because SQLite ends a text there", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const store = yield* SqliteStore.make({ file })
      yield* put(store, yield* keyOf("a\0b"), 0, "c\0d")
      const db = new DatabaseSync(file, { readOnly: true })
      const row = db.prepare("select hex(prompt), hex(text), typeof(text) from samples join keys on keys.id = key")
        .get()
      db.close()
      assert.deepStrictEqual(Object.values(row!), ["610062", "630064", "blob"])
    }))

  it.effect.runIf(process.getuid?.() === 0)(
    "without the right to write is refused before a request, and replays",
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

  it.live.runIf(process.getuid?.() === 0)(
    "in a read-only folder shows the samples that another user writes meanwhile",
    () =>
      Effect.gen(function*() {
        const file = yield* newFile
        const key = yield* keyOf("p")
        const record = (position: number) =>
          Effect.scoped(
            Effect.flatMap(SqliteStore.make({ file }), (store) => put(store, key, position, `at ${position}`))
          )
        yield* record(0)
        Fs.chmodSync(Path.dirname(file), 0o755)
        Fs.chmodSync(file, 0o644)
        const reader = yield* Effect.acquireRelease(
          Effect.sync(() =>
            ChildProcess.spawn(process.execPath, [Path.join(import.meta.dirname, "support/reader.ts"), file], {
              stdio: ["pipe", "pipe", "inherit"]
            })
          ),
          (reader) => Effect.sync(() => reader.stdin.end())
        )
        const ask = (position: number) =>
          Effect.callback<string>((resume) => {
            reader.stdout.once("data", (data: Buffer) => resume(Effect.succeed(String(data).trim())))
            reader.stdin.write(`${position}\n`)
          })
        assert.strictEqual(yield* ask(1), "none")
        yield* record(1)
        assert.strictEqual(yield* ask(1), "at 1")
        const store = yield* SqliteStore.make({ file })
        yield* put(store, key, 2, "while it is written")
        assert.strictEqual(yield* ask(2), "while it is written")
        yield* put(store, key, 3, "and once more")
        assert.strictEqual(yield* ask(3), "and once more")
        assert.strictEqual(yield* ask(0), "at 0")
      }),
    30_000
  )

  it.effect("is created anew after a deletion during use, with the samples requested meanwhile", () =>
    Effect.gen(function*() {
      const root = yield* folder
      const file = Path.join(root, "folder", "samples.db")
      const { model, requests } = yield* TestModel.make({
        model: "m",
        script: ({ prompt }) => {
          if (prompt === "q") Fs.rmSync(Path.dirname(file), { recursive: true })
          return [prompt]
        }
      })
      const persistent = yield* Persistent.make(model, yield* SqliteStore.make({ file }))
      const draw = (prompt: string) =>
        LlmModel.sampleOne(prompt).pipe(Effect.provideService(LlmModel.LlmModel, persistent))
      yield* draw("p")
      assert.strictEqual((yield* Effect.flip(draw("q")))._tag, "StoreError")
      assert.strictEqual(yield* draw("q"), "q")
      assert.deepStrictEqual(requests.map(({ prompt }) => prompt), ["p", "q"])
      // Between two draws.
      Fs.rmSync(Path.dirname(file), { recursive: true })
      assert.strictEqual(yield* draw("r"), "r")
      const again = yield* SqliteStore.make({ file })
      assert.strictEqual((yield* again.get(yield* keyOf("r"), 0))?.text, "r")
    }))

  it.effect("is read again after damage and a restore", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const key = yield* keyOf("p")
      yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => put(store, key, 0)))
      const good = Fs.readFileSync(file)
      const store = yield* SqliteStore.make({ file })
      // but for the first page
      Fs.writeFileSync(file, Buffer.concat([good.subarray(0, 8192), Buffer.alloc(good.length - 8192, 0xff)]))
      const error = yield* Effect.flip(store.get(key, 0))
      assert.strictEqual(error.kind, "Unavailable")
      Fs.writeFileSync(file, good)
      assert.strictEqual((yield* store.get(key, 0))?.text, "a")
    }))

  it.effect("deleted, replaced or cut off during use is an error, and a restore loses no sample", () =>
    Effect.gen(function*() {
      for (
        const spoil of [
          (file: string) => Fs.rmSync(file),
          (file: string) => Fs.truncateSync(file, 100),
          (file: string) => {
            Fs.rmSync(file)
            Fs.writeFileSync(file, "garbage ".repeat(100_000))
          }
        ]
      ) {
        const file = yield* newFile
        const store = yield* SqliteStore.make({ file })
        const saved = `${file}.saved`
        const { model, requests } = yield* TestModel.make({
          model: "m",
          script: ({ prompt }) => {
            if (prompt === "q") {
              Fs.copyFileSync(file, saved)
              spoil(file)
            }
            return [prompt]
          }
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
        assert.strictEqual(requests.length, 2)
      }
    }))

  it.effect("takes many recordings at once in a transaction, and a failing one fails no other", () =>
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
      yield* put(store, keys[10]!, 0)
      assert.strictEqual((yield* Stream.runCollect(store.keys())).length, 64)
    }))

  it.effect("holds a put that began before the scope of its store closed", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const key = yield* keyOf("p")
      const putting = yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) =>
        Effect.forkDetach(put(store, key, 0), { startImmediately: true })))
      assert.deepStrictEqual(yield* Fiber.join(putting), [0])
      assert.strictEqual((yield* (yield* SqliteStore.make({ file })).get(key, 0))?.text, "a")
    }))

  it.effect("does not list a prompt after its last sample was removed", () =>
    Effect.gen(function*() {
      const store = yield* SqliteStore.make({ file: yield* newFile })
      const key = yield* keyOf("p")
      yield* put(store, key, 0)
      yield* store.remove(key, [0])
      assert.deepStrictEqual(yield* Stream.runCollect(store.keys({ identity: key.identity })), [])
    }))

  it.effect("holds samples at positions that do not fit into the ids of rows", () =>
    Effect.gen(function*() {
      const store = yield* SqliteStore.make({ file: yield* newFile })
      const [key, far] = yield* Effect.all([keyOf("p"), keyOf("far")])
      const entries = [0, 1_048_575, 1_048_576, 2_000_000].map((position): Sample.Entry => ({
        position,
        id: `${position}`,
        drawn: { text: `at ${position}`, metadata: {}, origins: [] }
      }))
      const positions = entries.map(({ position }) => position)
      for (let i = 0; i < 2; i++) {
        assert.deepStrictEqual(yield* store.put(key, entries as [Sample.Entry], "append"), positions)
      }
      yield* put(store, far, 2_000_000, "far")
      assert.deepStrictEqual(yield* store.positions(key), positions)
      for (const { drawn, position } of entries) {
        assert.strictEqual((yield* store.get(key, position))?.text, drawn.text)
        assert.deepStrictEqual(yield* put(store, key, position), [undefined])
      }
      const again = { ...entries[1]!, id: "another" }
      assert.deepStrictEqual(yield* store.put(key, [again], "append"), [1_048_577])
      assert.strictEqual((yield* store.get(far, 2_000_000))?.text, "far")
      for (const filter of [undefined, { identity: key.identity }]) {
        const listed = (yield* Stream.runCollect(store.keys(filter))).map(Result.getOrThrow)
        assert.sameDeepMembers(listed.map(({ key, samples }) => [key.prompt, samples]), [["p", 5], ["far", 1]])
      }
      yield* store.remove(key, [1_048_575, 2_000_000])
      assert.deepStrictEqual(yield* store.positions(key), [0, 1_048_576, 1_048_577])
      assert.deepStrictEqual(yield* put(store, key, 2_000_000, "new"), [2_000_000])
      assert.strictEqual((yield* store.get(key, 2_000_000))?.text, "new")
    }))

  it.effect.each([0, 2_000_000])(
    "takes a prompt again that another process deleted, without its old samples, position %d",
    (position) =>
      Effect.gen(function*() {
        const file = yield* newFile
        const store = yield* SqliteStore.make({ file })
        const [p, q] = yield* Effect.all([keyOf("p"), keyOf("q")])
        yield* put(store, p, position, "of p")
        const db = new DatabaseSync(file)
        db.exec("delete from keys; delete from identities")
        db.close()
        for (const key of [q, p]) {
          yield* store.prepare(key)
          assert.isUndefined(yield* store.get(key, position))
          assert.deepStrictEqual(yield* put(store, key, position, `${key.prompt} again`), [position])
          assert.strictEqual((yield* store.get(key, position))?.text, `${key.prompt} again`)
        }
        const listed = yield* Stream.runCollect(store.keys())
        assert.deepStrictEqual(listed.map((element) => Result.getOrThrow(element).key.prompt), ["q", "p"])
      })
  )

  it.effect("is not used after the scope of its store closed", () =>
    Effect.gen(function*() {
      const store = yield* Effect.scoped(SqliteStore.make({ file: yield* newFile }))
      const key = yield* keyOf("p")
      for (const use of [store.get(key, 0), put(store, key, 0), store.prepare(key)]) {
        assert.isTrue(Exit.hasDies(yield* Effect.exit(use)))
      }
    }))
})

describe("a changed row", () => {
  it.effect.each([
    ["another text of the same length", "text = 'b'"],
    ["a longer text", "text = text || 'b'"],
    ["an empty text", "text = ''"],
    ["a number for its text", "text = 1"],
    ["more text behind a NUL", "text = text || char(0) || 'b'"],
    ["another checksum", "crc32 = 0"],
    ["a checksum that exceeds JavaScript's integers", "crc32 = 1 << 60"],
    ["another length", "bytes = 2"],
    ["broken JSON for its origins", "origins = '['"],
    ["an object for its origins", "origins = '{}'"]
  ])("of a sample with %s is damaged", ([, change]) =>
    Effect.gen(function*() {
      const file = yield* newFile
      const store = yield* SqliteStore.make({ file })
      const key = yield* keyOf("p")
      yield* put(store, key, 0)
      yield* put(store, key, 1)
      const db = new DatabaseSync(file)
      db.exec(`update samples set ${change} where position = 1`)
      db.close()
      const error = yield* Effect.flip(store.get(key, 1))
      assert.strictEqual(error.kind, "Damaged")
      assert.strictEqual(error.key, key)
      assert.strictEqual(error.position, 1)
      assert.strictEqual((yield* store.get(key, 0))?.text, "a")
      assert.deepStrictEqual((yield* store.getMany(key, 0, 3)).map(({ text }) => text), ["a"])
      assert.deepStrictEqual(yield* Effect.flip(store.getMany(key, 1, 3)), error)
    }))

  it.effect.each(["prompt = 'other'", "path = '[\"fork\"]'", "path = '{'", "path = '[1]'", "digest = x'00'"])(
    "of a key with %s is damaged, and keys lists the others",
    (change) =>
      Effect.gen(function*() {
        const file = yield* newFile
        const store = yield* SqliteStore.make({ file })
        yield* Effect.forEach(["p", "q", "r"], (prompt) => Effect.flatMap(keyOf(prompt), (key) => put(store, key, 0)))
        const db = new DatabaseSync(file)
        db.exec(`update keys set ${change} where prompt = 'q'`)
        db.close()
        const elements = yield* Stream.runCollect(store.keys())
        assert.deepStrictEqual(
          elements.map((element) => Result.isSuccess(element) ? element.success.key.prompt : element.failure.kind),
          ["p", "Damaged", "r"]
        )
      })
  )
})

it.live("expired leases leave no rows behind", () =>
  Effect.gen(function*() {
    const file = yield* newFile
    const { leases } = yield* SqliteStore.make({ file })
    const key = yield* keyOf("p")
    yield* leases!.acquire(key, [0, 1, 2], "dead", 1)
    const db = new DatabaseSync(file)
    const acquire = Effect.andThen(
      leases!.acquire(key, [7], "alive", 60_000),
      Effect.sync(() => db.prepare("select holder from leases").all().map(({ holder }) => holder))
    )
    yield* Effect.repeat(acquire, { until: (holders) => holders.join() === "alive" })
    db.close()
  }))

it.effect("every statement uses an index", () =>
  Effect.gen(function*() {
    const file = yield* newFile
    const store = yield* SqliteStore.make({ file })
    yield* put(store, yield* keyOf("p"), 0)
    const db = new DatabaseSync(file, { readOnly: true })
    for (const [name, sql] of Object.entries({ ...readStatements(migrations.length), ...writeStatements })) {
      if (/^(begin|commit|rollback)/.test(sql)) continue
      const plan = db.prepare(`explain query plan ${sql}`).all().map(({ detail }) => String(detail))
      for (const step of plan) assert.notMatch(step, /^SCAN (?!CONSTANT)|TEMP B-TREE/, `${name}: ${step}`)
    }
    db.close()
  }))
