import { assert, it } from "@effect/vitest"
import type { SampleStore } from "@llm-cache/core"
import { SqlStore } from "@llm-cache/sql"
import { Effect, Result, Stream } from "effect"
import { SqlClient, Statement } from "effect/sql"
import {
  describePostgres,
  entry,
  execute,
  makeClient,
  makeKey,
  newPlace,
  newPrefix,
  open,
  promptsOf,
  put,
  textsOf
} from "./support/database.ts"

const opened = Effect.gen(function*() {
  const place = newPlace()
  const store = yield* open(place)
  const key = yield* makeKey()
  yield* store.prepare(key)
  return { ...place, store, key }
})

describePostgres("PostgreSQL's tables", () => {
  it.live("the tables hold texts unchanged, and texts with a NUL as JSON", () =>
    Effect.gen(function*() {
      const { key, prefix, store } = yield* opened
      const withNul = yield* makeKey("a\0b")
      yield* put(store, key, entry(0, "plain \u{1F600}\n\\u0000"))
      yield* put(store, withNul, {
        position: 1,
        drawn: { text: "", metadata: { model: "m\0", finishReason: "stop" }, origins: [] },
        id: "id\0"
      })
      assert.deepStrictEqual(
        yield* execute(`select prompt, k.encoding as k, sample, s.encoding as s from ${prefix}_samples s
          join ${prefix}_keys k using (key_sha256) order by s.position`),
        [
          { prompt: "a prompt", k: "plain", sample: "plain \u{1F600}\n\\u0000", s: "plain" },
          { prompt: `"a\\u0000b"`, k: "json", sample: `""`, s: "json" }
        ]
      )
      assert.deepStrictEqual(yield* store.get(withNul, 1), {
        text: "",
        metadata: { model: "m\0", finishReason: "stop" },
        origins: []
      })
      assert.deepStrictEqual(yield* put(store, withNul, entry(1, "", "id\0")), [1])
      assert.sameMembers(yield* promptsOf(store, key.identity), ["a prompt", "a\0b"])
    }))

  it.live("the metadata of a sample has columns", () =>
    Effect.gen(function*() {
      const { key, prefix, store } = yield* opened
      const metadata = {
        request: "a request",
        index: 2,
        model: "gpt-4o-2024-08-06",
        finishReason: "length",
        createdAt: 1_760_000_000_123,
        elapsed: 12.5,
        requestSamples: 3,
        inputTokens: 17,
        outputTokens: 3_000_000_000,
        refusal: "no\0"
      }
      yield* put(store, key, { position: 0, drawn: { text: "caf\u00E9", metadata, origins: [4, 0] }, id: "an id" })
      const [row] = yield* execute(`select * from ${prefix}_samples`)
      const { crc32, key_sha256: _, ...rest } = row!
      assert.deepStrictEqual(rest, {
        position: 0n,
        entry_id: "an id",
        sample: "caf\u00E9",
        encoding: "plain",
        bytes: 5n,
        origins: "[4,0]",
        request: "a request",
        request_index: 2,
        model: "gpt-4o-2024-08-06",
        finish_reason: "length",
        created_at: 1_760_000_000_123,
        elapsed: 12.5,
        request_samples: 3,
        input_tokens: 17,
        output_tokens: 3_000_000_000,
        metadata: `{"refusal":"no\\u0000"}`
      })
      assert.strictEqual(typeof crc32, "bigint")
      assert.include(store.describe(key), String(row!["key_sha256"]))
    }))

  for (
    const [what, change] of [
      ["another text of its length", "sample = 'X' || substr(sample, 2)"],
      ["a truncated text", "sample = left(sample, 5)"],
      ["another length", "bytes = bytes + 1"],
      ["another checksum", "crc32 = 0"],
      ["another encoding", "encoding = 'json'"],
      ["an unknown encoding", "encoding = 'zip'"],
      ["origins in broken JSON", "origins = '[1,'"],
      ["origins other than positions", "origins = '[\"1\"]'"]
    ]
  ) {
    it.live(`a row with ${what} is damaged`, () =>
      Effect.gen(function*() {
        const { key, prefix, store } = yield* opened
        yield* put(store, key, entry(0, "a sample"), entry(1, "another"))
        yield* execute(`update ${prefix}_samples set ${change} where position = 0`)
        const error = yield* Effect.flip(store.get(key, 0))
        assert.deepInclude(error, { kind: "Damaged", operation: "get", key, position: 0 })
        assert.include(error.message, "delete it to have the position drawn again")
        assert.strictEqual((yield* store.get(key, 1))?.text, "another")
      }))
  }

  it.live("a changed key is damaged, and keys lists the others", () =>
    Effect.gen(function*() {
      const { key, prefix, store } = yield* opened
      yield* put(store, key, entry(0, "a"))
      for (const column of ["prompt", "identity_id", "fork_path", "encoding"]) {
        yield* put(store, yield* makeKey(column), entry(0, "b"))
        yield* execute(`update ${prefix}_keys set ${column} = '"x"' where prompt = '${column}'`)
      }
      const listed = yield* Stream.runCollect(store.keys())
      assert.deepStrictEqual(
        listed.filter(Result.isSuccess).map(({ success: { key, samples } }) => [key.prompt, samples]),
        [[key.prompt, 1]]
      )
      const damaged = listed.filter(Result.isFailure)
      assert.strictEqual(damaged.length, 4)
      for (const { failure } of damaged) assert.deepInclude(failure, { kind: "Damaged", operation: "keys" })
    }))

  it.live("250 samples are stored all or none, past an error and a taken position", () =>
    Effect.gen(function*() {
      const { key, prefix, store } = yield* opened
      const many = Array.from({ length: 250 }, (_, i) => entry(i, `${i}`, `id ${i}`))
      yield* execute(
        `create function ${prefix}_refuse() returns trigger as
          'begin if new.position = 240 then raise exception ''refused''; end if; return new; end' language plpgsql`,
        `create trigger refuse before insert on ${prefix}_samples for each row execute function ${prefix}_refuse()`
      )
      assert.include((yield* Effect.flip(put(store, key, ...many))).message, "refused")
      assert.deepStrictEqual(yield* store.positions(key), [])
      yield* execute(`drop trigger refuse on ${prefix}_samples`)
      yield* put(store, key, entry(205, "in the way"))
      const placed = yield* put(store, key, ...many)
      const expected = Array.from({ length: 251 }, (_, i) => i).filter((i) => i !== 205)
      assert.deepStrictEqual(placed, expected)
      assert.deepStrictEqual(yield* put(store, key, ...many), expected)
      assert.strictEqual((yield* store.positions(key)).length, 251)
    }))

  it.live("put appends behind 2,500 samples, and finds the appended samples again", () =>
    Effect.gen(function*() {
      const { key, store } = yield* opened
      const many = Array.from({ length: 2500 }, (_, i) => entry(i < 2100 ? i : i + 1, `${i}`))
      yield* put(store, key, ...many)
      const some = [entry(0, "a", "a"), entry(0, "b", "b"), entry(7, "c", "c")]
      assert.deepStrictEqual(yield* put(store, key, ...some), [2100, 2501, 2502])
      assert.deepStrictEqual(yield* put(store, key, ...some), [2100, 2501, 2502])
      assert.strictEqual((yield* store.positions(key)).length, 2503)
    }))

  it.live("put reports a trigger that refuses each sample, and does not try forever", () =>
    Effect.gen(function*() {
      const { key, prefix, store } = yield* opened
      yield* execute(
        `create function ${prefix}_refuse() returns trigger as
          'begin raise exception ''refused'' using errcode = ''unique_violation''; end' language plpgsql`,
        `create trigger refuse before insert on ${prefix}_samples for each row execute function ${prefix}_refuse()`
      )
      assert.include((yield* Effect.flip(put(store, key, entry(0, "a")))).message, "refused")
    }))

  it.live("put stores samples again after their key was deleted", () =>
    Effect.gen(function*() {
      const { key, prefix, store } = yield* opened
      yield* put(store, key, entry(0, "a"))
      yield* execute(`delete from ${prefix}_samples`, `delete from ${prefix}_keys`)
      assert.strictEqual((yield* Effect.flip(put(store, key, entry(0, "b")))).kind, "Unavailable")
      assert.deepStrictEqual(yield* put(store, key, entry(0, "b")), [0])
      assert.deepStrictEqual(yield* textsOf(store, key), ["b"])
    }))

  it.live("keys lists the keys of an identity, however many forks a prompt has", () =>
    Effect.gen(function*() {
      const { key, store } = yield* opened
      for (const prompt of ["a", "b", "c"]) {
        for (let i = 0; i < (prompt === "b" ? 25 : 2); i++) {
          yield* put(store, yield* makeKey(prompt, [`${i}`]), entry(0, "x"))
        }
      }
      yield* store.prepare(yield* makeKey("d"))
      const prompts = yield* promptsOf(store, key.identity)
      // The keys of a prompt are neighbors.
      assert.deepStrictEqual(prompts.filter((prompt, i) => prompt !== prompts[i - 1]).toSorted(), ["a", "b", "c"])
      assert.strictEqual(prompts.length, 29)
    }))

  it.live("every statement uses an index", () =>
    Effect.gen(function*() {
      const prefix = newPrefix()
      const sql = yield* makeClient()
      const store = yield* Effect.provideService(SqlStore.make({ prefix }), SqlClient.SqlClient, sql)
      yield* store.prepare(yield* makeKey())
      yield* fill(prefix)
      const key = yield* makeKey("prompt 5000")
      yield* put(store, key, entry(0, "a"), entry(1, "b"), entry(2, "c"))
      const seen = new Map<string, ReadonlyArray<unknown>>()
      const record = Statement.CurrentTransformer.of((statement) =>
        Effect.sync(() => {
          const [text, parameters] = statement.compile(true)
          seen.set(text, parameters)
          return statement
        })
      )
      yield* Effect.gen(function*() {
        yield* store.get(key, 1)
        yield* store.positions(key)
        yield* store.prepare(yield* makeKey("new"))
        yield* put(store, key, entry(0, "d", "d"), entry(0, "e", "e"))
        yield* store.remove(key, [3, 4])
        yield* Stream.runHead(store.keys({ identity: key.identity }))
        yield* Stream.runHead(store.keys())
        yield* leasesOf(store).acquire(key, [1, 2], "holder", 1000)
        yield* leasesOf(store).release(key, [1, 2], "holder")
      }).pipe(Effect.provideService(Statement.CurrentTransformer, record))
      assert.isAbove(seen.size, 10)
      for (const [text, parameters] of seen) {
        if (!/select|delete/.test(text) || text.includes("where 1 = 0")) continue
        const plan = JSON.stringify(yield* sql.unsafe(`explain (format json) ${text}`, parameters))
        assert.match(plan, /Index (Only )?Scan|Bitmap Index Scan/, text)
        assert.notInclude(plan, "Seq Scan", text)
      }
    }), 60_000)
})

const leasesOf = ({ leases }: SampleStore.Store) => {
  if (leases === undefined) throw new Error("the store has no leases")
  return leases
}

// 20,000 prompts of one identity with ten samples each, and as many leases.
const fill = (prefix: string) =>
  Effect.gen(function*() {
    const { identity } = yield* makeKey()
    yield* execute(
      `insert into ${prefix}_keys select encode(sha256(('k' || i)::bytea), 'hex'), encode(sha256('${identity.id}'), 'hex'),
        encode(sha256(('p' || i)::bytea), 'hex'), '${identity.id}', '[]', 'prompt ' || i, 'plain'
        from generate_series(1, 20000) i`,
      `insert into ${prefix}_samples (key_sha256, position, sample, encoding, bytes, crc32, origins)
        select key_sha256, i, 'sample', 'plain', 6, 0, '[]' from ${prefix}_keys, generate_series(0, 9) i`,
      `insert into ${prefix}_leases select key_sha256, 0, 'holder', 9999999999999 from ${prefix}_keys`,
      "analyze"
    )
  })
