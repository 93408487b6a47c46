import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { inspect } from "node:util"
import { PgStore } from "../src/index.ts"

it.effect.each([
  "alice:hunter2@db.internal:5432/cache",
  "postgres:alice:hunter2@127.0.0.1/cache",
  "postgres://alice:123/hunter2@127.0.0.1/cache",
  "mysql://alice:hunter2@127.0.0.1/cache",
  "hunter2"
])("a URL that is none of PostgreSQL's is refused, and not shown: %s", (url) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(PgStore.make({ url: Redacted.make(url) }))
    assert.strictEqual(error.kind, "InvalidName")
    assert.notInclude(inspect(error, { depth: 20 }), "hunter2")
  }))
