import { assert, describe, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { TestModel } from "@llm-cache/testing"
import { Effect, Fiber, Schedule } from "effect"
import type { SqlError } from "effect/sql"
import { lossyProxy } from "../../testing/test/support/lossyProxy.ts"
import {
  createRole,
  describePostgres,
  entry,
  execute,
  layerOf,
  makeKey,
  makeProvider,
  newPlace,
  open,
  put,
  terminate,
  textsOf,
  urlOf
} from "./support/database.ts"

/** Waits until a query of the superuser returns a row. */
const until = (query: string) =>
  Effect.repeat(execute(query), {
    schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)]),
    until: (rows) => rows.length > 0
  }).pipe(Effect.tap((rows) => rows.length > 0 ? Effect.void : Effect.die(new Error(`no row: ${query}`))))

/** Locks a table while an effect runs. */
const whileLocked = <A, E, R>(table: string, effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const locked = yield* Effect.forkScoped(execute(`do $$ begin lock ${table}; perform pg_sleep(60); end $$`))
    yield* until(
      `select 1 from pg_locks where granted and relation = '${table}'::regclass and mode = 'AccessExclusiveLock'`
    )
    const result = yield* effect
    yield* execute(
      `select pg_cancel_backend(pid) from pg_locks where granted and relation = '${table}'::regclass and mode = 'AccessExclusiveLock'`
    )
    yield* Fiber.await(locked)
    return result
  }))

/** Loses the answer to a statement: the server is ready for the next one, so it has run. */
const lossy = (text: string) =>
  lossyProxy(
    urlOf(),
    text,
    (data) => data.subarray(-6, -1).toString("latin1") === "Z\0\0\0\x05" ? "break" : "drop"
  )

describePostgres("PostgreSQL with faults", () => {
  describe("stores once, although the answer was lost:", () => {
    for (
      const [what, count, text] of [
        ["one sample", 1, "_samples\" "],
        ["several samples of a request", 3, "_samples\" "],
        ["so many samples that they take a transaction", 150, "COMMIT"]
      ] as const
    ) {
      it.live(what, () =>
        Effect.gen(function*() {
          const { prefix } = newPlace()
          yield* put(yield* open({ prefix, url: urlOf() }), yield* makeKey(), entry(1, "taken"))
          const { broken, url } = yield* lossy(text === "COMMIT" ? text : `insert into "${prefix}_samples" (`)
          const store = yield* open({ prefix, url })
          const key = yield* makeKey()
          // from behind what is taken, so that the first insert is the one that is stored
          const entries = Array.from({ length: count }, (_, i) => entry(i + 2, `${i}`, `id ${i}`))
          const error = yield* Effect.flip(put(store, key, ...entries))
          assert.strictEqual(broken(), 1)
          assert.deepInclude(error, { kind: "Unavailable", operation: "put", key })
          assert.include(error.message, "the connection broke")
          const positions = entries.map(({ position }) => position)
          assert.deepStrictEqual(yield* put(store, key, ...entries), positions)
          assert.deepStrictEqual(yield* store.positions(key), [1, ...positions])
        }))
    }
  })

  describe("says what happened and what to do:", () => {
    const refuse = (prefix: string, code: string) =>
      execute(
        `create function ${prefix}_refuse() returns trigger as
          'begin raise exception ''no'' using errcode = ''${code}''; end' language plpgsql`,
        `create trigger refuse before insert on ${prefix}_samples for each row execute function ${prefix}_refuse()`
      )
    const fails: ReadonlyArray<
      readonly [
        what: string,
        advice: string,
        (prefix: string, role: string) => Effect.Effect<unknown, SqlError.SqlError>
      ]
    > = [
      ["the disk is full", "make room", (prefix) => refuse(prefix, "53100")],
      [
        "the server is read-only",
        "replication, which writes nothing",
        (_, role) => execute(`alter role ${role} set default_transaction_read_only = on`)
      ],
      [
        "there are too many connections",
        "use fewer processes",
        (_, role) => execute(`alter role ${role} connection limit 0`)
      ],
      [
        "the role lost the right to log in",
        "check the user's name",
        (_, role) => execute(`alter role ${role} nologin`)
      ],
      [
        "the role lost the right to insert",
        "Grant this role",
        (prefix, role) => execute(`revoke insert on ${prefix}_samples from ${role}`)
      ],
      [
        "the tables are gone",
        "restore them",
        (prefix) => execute(`drop table ${prefix}_leases, ${prefix}_samples, ${prefix}_keys`)
      ]
    ]
    for (const [what, advice, fault] of fails) {
      it.live(what, () =>
        Effect.gen(function*() {
          const place = newPlace(yield* createRole(newPlace().prefix, true))
          const role = new URL(place.url).username
          const store = yield* open(place)
          const key = yield* makeKey()
          yield* put(store, key, entry(0, "a"))
          yield* fault(place.prefix, role)
          yield* terminate
          // the pool may not know yet that its connection is gone
          const error = yield* Effect.flip(put(store, key, entry(1, "b"))).pipe(
            Effect.repeat({
              until: ({ message }) => !/terminating|Connection closed|ECONNRESET/.test(message),
              times: 20
            })
          )
          assert.deepInclude(error, { kind: "Unavailable", operation: "put", key, position: 1 })
          assert.include(error.message, advice)
        }))
    }

    for (const [timeout, advice] of [["lock_timeout", "when it is released"], ["statement_timeout", "took too long"]]) {
      it.live(`a ${timeout} passed`, () =>
        Effect.gen(function*() {
          const place = newPlace(yield* createRole(newPlace().prefix, true))
          const key = yield* makeKey()
          yield* (yield* open(place)).prepare(key)
          yield* execute(`alter role ${new URL(place.url).username} set ${timeout} = 50`)
          const store = yield* open(place)
          const error = yield* whileLocked(`${place.prefix}_samples`, Effect.flip(store.get(key, 0)))
          assert.deepInclude(error, { kind: "Unavailable", operation: "get", key, position: 0 })
          assert.include(error.message, advice!)
          assert.isUndefined(yield* store.get(key, 0))
        }))
    }
  })

  describe("goes on", () => {
    for (const code of ["serialization_failure", "deadlock_detected"]) {
      it.live(`after a ${code.replace("_", " ")} with other processes`, () =>
        Effect.gen(function*() {
          const place = newPlace()
          const store = yield* open(place)
          const key = yield* makeKey()
          yield* store.prepare(key)
          // Every statement fails twice, and a number that was taken from a sequence stays taken.
          yield* execute(
            `create sequence ${place.prefix}_turns`,
            `create function ${place.prefix}_refuse() returns trigger as 'begin
              if nextval(''${place.prefix}_turns'') % 3 > 0 then raise exception ''no'' using errcode = ''${code}''; end if;
              return null; end' language plpgsql`,
            ...["insert or delete on samples", "insert on leases"].map((when) =>
              `create trigger refuse before ${when.replace(" on ", ` on ${place.prefix}_`)}
                for each statement execute function ${place.prefix}_refuse()`
            )
          )
          assert.deepStrictEqual(yield* put(store, key, entry(0, "a"), entry(1, "b")), [0, 1])
          yield* store.remove(key, [0])
          assert.deepStrictEqual(yield* textsOf(store, key), ["b"])
          const turns = yield* execute(`select last_value from ${place.prefix}_turns`)
          assert.deepStrictEqual(turns, [{ last_value: 6n }])
          assert.isTrue(yield* store.leases!.acquire(key, [0], "a", 60_000))
          assert.isFalse(yield* store.leases!.acquire(key, [0], "b", 60_000))
        }))
    }

    it.live("after its connections ended between two draws", () =>
      Effect.gen(function*() {
        const source = yield* makeProvider
        const place = newPlace()
        const texts = yield* Effect.gen(function*() {
          const texts: Array<string> = []
          for (let n = 1; n <= 8; n++) {
            const run = LlmModel.sampleMany("a", n)
            texts.push((yield* Effect.retry(run, isUnavailable)).at(-1)!)
            yield* terminate
          }
          return texts
        }).pipe(Effect.provide(layerOf(place)), Effect.provide(source.layer))
        assert.strictEqual(source.requests(), 8)
        assert.deepStrictEqual(yield* textsOf(yield* open(place), yield* makeKey("a")), texts)
      }))

    for (const count of [1, 150]) {
      it.live(`after its connection ended during a put of ${count}`, () =>
        Effect.gen(function*() {
          const place = newPlace()
          const store = yield* open(place)
          const key = yield* makeKey()
          yield* store.prepare(key)
          const entries = Array.from({ length: count }, (_, i) => entry(i, `${i}`, `id ${i}`))
          const error = yield* whileLocked(
            `${place.prefix}_samples`,
            Effect.gen(function*() {
              const putting = yield* Effect.forkChild(Effect.flip(put(store, key, ...entries)))
              yield* until(
                `select 1 from pg_locks where not granted and relation = '${place.prefix}_samples'::regclass`
              )
              yield* terminate
              return yield* Fiber.join(putting)
            })
          )
          assert.deepInclude(error, { kind: "Unavailable", operation: "put" })
          assert.deepStrictEqual(yield* store.positions(key).pipe(Effect.retry(isUnavailable)), [])
          const positions = entries.map(({ position }) => position)
          assert.deepStrictEqual(yield* put(store, key, ...entries), positions)
          assert.deepStrictEqual(yield* store.positions(key), positions)
        }))
    }

    it.live("after its connection ended while it took a lease", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const { leases, prepare } = yield* open(place)
        const key = yield* makeKey()
        yield* prepare(key)
        // It reads whether the lease is free, and waits to delete those that have ended.
        yield* execute(
          `create function ${place.prefix}_wait() returns trigger as
            'begin perform pg_sleep(60); return new; end' language plpgsql`,
          `create trigger wait before insert on ${place.prefix}_leases for each row execute function ${place.prefix}_wait()`
        )
        const acquiring = yield* Effect.forkChild(Effect.flip(leases!.acquire(key, [0], "a", 60_000)))
        yield* until("select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()")
        yield* terminate
        assert.deepInclude(yield* Fiber.join(acquiring), { kind: "Unavailable", operation: "lease" })
        yield* execute(`drop trigger wait on ${place.prefix}_leases`)
        assert.isTrue(yield* leases!.acquire(key, [0], "b", 60_000).pipe(Effect.retry(isUnavailable)))
      }))

    it.live("after it lost its rights for a while, and stores the samples requested meanwhile", () =>
      Effect.gen(function*() {
        const role = yield* createRole("worker", true)
        const place = newPlace(role)
        const source = TestModel.layer({
          script: ({ n }, index) =>
            Effect.gen(function*() {
              // During the request.
              if (index === 1) yield* Effect.orDie(execute(`revoke insert on ${place.prefix}_samples from ${role}`))
              return Array.from({ length: n }, (_, i) => `${index + 1} ${i}`)
            })
        })
        const draw = (n: number) => LlmModel.sampleMany("a", n, { batch: 3 })
        yield* Effect.gen(function*() {
          const { requests } = yield* TestModel.TestModel
          assert.deepStrictEqual(yield* draw(3), ["1 0", "1 1", "1 2"])
          for (let i = 0; i < 3; i++) {
            const error = yield* Effect.flip(draw(6))
            assert.strictEqual(error._tag, "StoreError")
            assert.include(error.message, "permission denied")
          }
          assert.lengthOf(requests, 2)
          yield* execute(`grant insert on ${place.prefix}_samples to ${role}`)
          assert.deepStrictEqual(yield* draw(6), ["1 0", "1 1", "1 2", "2 0", "2 1", "2 2"])
          assert.lengthOf(requests, 2)
        }).pipe(Effect.provide(layerOf(place)), Effect.provide(source))
      }))
  })
})

const isUnavailable = {
  while: (error: { readonly _tag: string; readonly kind?: string }) =>
    error._tag === "StoreError" && error.kind === "Unavailable",
  schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(100)])
}
