import { describe } from "@effect/vitest"
import { ProcessTest } from "@llm-cache/testing"
import { Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fill, isLinux, isRoot, smallDisk } from "../../testing/test/support/disk.ts"
import {
  createRole,
  describePostgres,
  execute,
  newPlace,
  newPrefix,
  serverFolder,
  servers,
  terminate
} from "./support/database.ts"
import type { Place } from "./support/store.ts"

const module = new URL("./support/store.ts", import.meta.url)

const place = Effect.sync(() => JSON.stringify(newPlace()))

/** A place of a role that owns its tables. */
const ownPlace = Effect.suspend(() => createRole(newPrefix(), true)).pipe(
  Effect.map((role) => JSON.stringify(newPlace(role))),
  Effect.orDie
)

const parse = (place: string): Place & { readonly role: string; readonly disk: string } => {
  const parsed: Place & { readonly disk: string } = JSON.parse(place)
  return { ...parsed, role: new URL(parsed.url).username }
}

const revoked = (right: string, table: string) => ({ place }: ProcessTest.Faulty) => {
  const { prefix, role } = parse(place)
  return Effect.acquireRelease(
    execute(`revoke ${right} on ${prefix}_${table} from ${role}`),
    () => Effect.orDie(execute(`grant ${right} on ${prefix}_${table} to ${role}`))
  )
}

/** A place whose tables are in a small file system of their own. */
const smallPlace = Effect.gen(function*() {
  const disk = yield* smallDisk("16m")
  const { uid } = Fs.statSync(Path.join(serverFolder!, "postgres"))
  const folder = Path.join(disk, "tablespace")
  Fs.mkdirSync(folder)
  Fs.chownSync(folder, uid, uid)
  const place = yield* ownPlace
  const { prefix, role } = parse(place)
  yield* Effect.acquireRelease(
    execute(
      `create tablespace ${role} location '${folder}'`,
      `grant create on tablespace ${role} to ${role}`,
      `alter role ${role} set default_tablespace = ${role}`
    ),
    () =>
      Effect.orDie(execute(
        `drop table ${prefix}_leases, ${prefix}_samples, ${prefix}_keys, ${prefix}_store`,
        `drop tablespace ${role}`
      ))
  )
  return JSON.stringify({ ...JSON.parse(place), disk })
})

describePostgres("PostgreSQL with many processes", () => {
  ProcessTest.suite("PostgreSQL", { module, place, hasLeases: true })

  ProcessTest.faults("PostgreSQL", {
    module,
    place: ownPlace,
    faults: {
      "its connections end again and again": () =>
        Effect.forkScoped(Effect.repeat(terminate, Schedule.spaced("10 millis"))),
      "it loses the right to insert samples": revoked("insert", "samples"),
      "it loses the right to insert keys": revoked("insert", "keys"),
      "it loses the right to read samples": revoked("select", "samples"),
      "it loses the right to log in": ({ place }) =>
        Effect.acquireRelease(
          Effect.andThen(execute(`alter role ${parse(place).role} nologin`), terminate),
          () => Effect.orDie(execute(`alter role ${parse(place).role} login`))
        )
    }
  })

  describe.skipIf(serverFolder === undefined || !isRoot || !isLinux)(
    "on a small disk (needs root, Linux and LLM_CACHE_TEST_SERVERS)",
    () => {
      ProcessTest.faults("PostgreSQL", {
        module,
        place: smallPlace,
        faults: { "the disk is full": ({ place }) => fill(parse(place).disk) }
      })
    }
  )

  describe.skipIf(serverFolder === undefined)("on a server that stops (needs LLM_CACHE_TEST_SERVERS)", () => {
    ProcessTest.faults("PostgreSQL", {
      module,
      place,
      faults: {
        "the server stops and starts later": () => Effect.acquireRelease(servers("pause"), () => servers("resume")),
        "the server restarts again and again": () =>
          Effect.forkScoped(Effect.repeat(servers("restart"), Schedule.spaced("300 millis")))
      }
    })
  })
})
