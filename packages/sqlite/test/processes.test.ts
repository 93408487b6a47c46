import { ProcessTest } from "@llm-cache/testing"
import { Effect, Random } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"

const isRoot = process.getuid?.() === 0
const isLinux = process.platform === "linux"

const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.sync(() => ChildProcess.execFileSync(command, args, { encoding: "utf8" }))

const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))
    if (isRoot) Fs.chownSync(root, 65534, 65534)
    return root
  }),
  (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true }))
)
const place = Effect.map(folder, (root) => Path.join(root, "samples.db"))

const module = new URL("./support/store.ts", import.meta.url)

ProcessTest.suite("SQLite", { module, place, hasLeases: true })

/** Another program writes, and does not come to an end for a while. */
const locked = ({ place }: ProcessTest.Faulty) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const db = new DatabaseSync(place, { timeout: 5000 })
      db.exec("begin immediate")
      return db
    }),
    (db) => Effect.sync(() => db.close())
  )

ProcessTest.faults("SQLite", { module, place, faults: { "another program holds the file": locked } })

/** No file can be longer than this. */
const limit = (bytes: number) => ({ pid }: ProcessTest.Faulty) =>
  Effect.acquireRelease(
    run("prlimit", "--pid", String(pid), `--fsize=${bytes}:`),
    () => run("prlimit", "--pid", String(pid), "--fsize=unlimited:")
  )

describe.runIf(isLinux)("where files cannot grow", () => {
  ProcessTest.faults("SQLite", {
    module,
    place,
    faults: { "not at all": limit(0), "beyond a part of it": limit(20_000) }
  })
})

/** A file system of its own, which is small. */
const smallDisk = Effect.gen(function*() {
  const disk = yield* folder
  yield* Effect.acquireRelease(
    run("mount", "-t", "tmpfs", "-o", "size=32m,mode=777", "tmpfs", disk),
    () => run("umount", disk)
  )
  return Path.join(disk, "samples.db")
})

const fill = ({ place }: ProcessTest.Faulty) =>
  Effect.gen(function*() {
    const filler = Path.join(Path.dirname(place), "filler")
    const left = yield* Random.nextIntBetween(0, 20_000)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        try {
          for (;;) Fs.appendFileSync(filler, Buffer.alloc(10_000))
        } catch (cause) {
          if ((cause as NodeJS.ErrnoException).code !== "ENOSPC") throw cause
        }
        Fs.truncateSync(filler, Fs.statSync(filler).size - left)
      }),
      () => Effect.sync(() => Fs.rmSync(filler))
    )
  })

describe.runIf(isLinux && isRoot)("on a small disk, which root can make", () => {
  ProcessTest.faults("SQLite", { module, place: smallDisk, faults: { "the disk is full": fill } })
})
