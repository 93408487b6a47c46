import { describe } from "@effect/vitest"
import { ProcessTest } from "@llm-cache/testing"
import { Effect, Random, Schedule } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { createRole, execute, newPlace, newPrefix, serverFolder, servers, terminate } from "../support/database.ts"
import type { Place } from "../support/store.ts"

const module = new URL("../support/store.ts", import.meta.url)

const place = Effect.sync(() => JSON.stringify(newPlace()))

/** A place of a role that owns its tables. */
const ownPlace = Effect.suspend(() => createRole(newPrefix(), true)).pipe(
  Effect.map((role) => JSON.stringify(newPlace(role))),
  Effect.orDie
)

const parse = (place: string): Place & { readonly role: string } => {
  const parsed: Place = JSON.parse(place)
  return { ...parsed, role: new URL(parsed.url).username }
}

const revoked = (right: string, table: string) => ({ place }: ProcessTest.Faulty) => {
  const { prefix, role } = parse(place)
  return Effect.acquireRelease(
    execute(`revoke ${right} on ${prefix}_${table} from ${role}`),
    () => Effect.orDie(execute(`grant ${right} on ${prefix}_${table} to ${role}`))
  )
}

export const defineProcesses = () => {
  ProcessTest.suite("PostgreSQL", { module, place, hasLeases: true })

  ProcessTest.faults("PostgreSQL", {
    module,
    place: ownPlace,
    faults: {
      "its connections are ended, again and again": () =>
        Effect.forkScoped(Effect.repeat(terminate, Schedule.spaced("10 millis"))),
      "it may not insert samples any more": revoked("insert", "samples"),
      "it may not insert keys any more": revoked("insert", "keys"),
      "it may not read samples any more": revoked("select", "samples"),
      "it may not log in any more": ({ place }) =>
        Effect.acquireRelease(
          Effect.andThen(execute(`alter role ${parse(place).role} nologin`), terminate),
          () => Effect.orDie(execute(`alter role ${parse(place).role} login`))
        )
    }
  })

  const isRoot = process.getuid?.() === 0
  describe.skipIf(serverFolder === undefined || !isRoot || process.platform !== "linux")(
    "on a small disk, which root can make for a server of LLM_CACHE_TEST_SERVERS on Linux",
    () => {
      ProcessTest.faults("PostgreSQL", { module, place: smallPlace, faults: { "the disk is full": fill } })
    }
  )

  describe.skipIf(serverFolder === undefined)("on a server of LLM_CACHE_TEST_SERVERS, which the tests may stop", () => {
    ProcessTest.faults("PostgreSQL", {
      module,
      place,
      faults: {
        "the server is stopped, and started later": () =>
          Effect.acquireRelease(servers("pause"), () => servers("resume")),
        "the server is restarted, again and again": () =>
          Effect.forkScoped(Effect.repeat(servers("restart"), Schedule.spaced("300 millis")))
      }
    })
  })
}

// -----------------------------------------------------------------------------
// a full disk
// -----------------------------------------------------------------------------

const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.sync(() => ChildProcess.execFileSync(command, args, { encoding: "utf8" }))

/** The tables are in a file system of their own, which is small. */
const smallPlace = Effect.gen(function*() {
  const disk = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))),
    (disk) => Effect.sync(() => Fs.rmdirSync(disk))
  )
  yield* Effect.acquireRelease(
    run("mount", "-t", "tmpfs", "-o", "size=16m,mode=777", "tmpfs", disk),
    () => run("umount", disk)
  )
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

const fill = ({ place }: ProcessTest.Faulty) =>
  Effect.gen(function*() {
    const { disk }: { readonly disk: string } = JSON.parse(place)
    const filler = Path.join(disk, "filler")
    const left = yield* Random.nextIntBetween(0, 20_000)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        try {
          for (;;) Fs.appendFileSync(filler, Buffer.alloc(10_000))
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== "ENOSPC") throw cause
        }
        Fs.truncateSync(filler, Math.max(0, Fs.statSync(filler).size - left))
      }),
      () => Effect.sync(() => Fs.rmSync(filler))
    )
  })
