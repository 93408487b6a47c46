import { Effect, Random } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { describe } from "vitest"
import { ProcessTest } from "../src/index.ts"

const isRoot = process.getuid?.() === 0
const isLinux = process.platform === "linux"

const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.sync(() => ChildProcess.execFileSync(command, args, { encoding: "utf8" }))

const place = Effect.acquireRelease(
  Effect.sync(() => {
    const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))
    if (isRoot) Fs.chownSync(root, 65534, 65534)
    return root
  }),
  (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true }))
)

const module = new URL("./support/directory.ts", import.meta.url)
const unprivileged = new URL("./support/unprivileged.ts", import.meta.url)

ProcessTest.suite("directory", { module, place })

// -----------------------------------------------------------------------------
// what it is refused
// -----------------------------------------------------------------------------

const folders = (root: string, name: RegExp) =>
  Fs.readdirSync(root, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isDirectory() && name.test(entry.name))
    .map((entry) => Path.join(entry.parentPath, entry.name))

/** Takes the right to write to folders away. */
const readOnly = (name: RegExp) => ({ place }: ProcessTest.Faulty) =>
  Effect.acquireRelease(
    Effect.sync(() => [place, ...folders(place, name)].filter((folder) => name.test(Path.basename(folder)))),
    (taken) => Effect.sync(() => taken.forEach((folder) => Fs.chmodSync(folder, 0o755)))
  ).pipe(Effect.tap((taken) => Effect.sync(() => taken.forEach((folder) => Fs.chmodSync(folder, 0o555)))))

ProcessTest.faults("directory", {
  module: unprivileged,
  place,
  faults: {
    "it may not write any more": readOnly(/./),
    "it may not write to the folders of prompts any more": readOnly(/^[0-9a-f]{64}$/),
    "it may not write to the log of purchases any more": readOnly(/^\.purchases$/)
  }
})

// -----------------------------------------------------------------------------
// no room
// -----------------------------------------------------------------------------

/** No file can be longer than this: what is longer is written in part. */
const limit = (bytes: number) => ({ pid }: ProcessTest.Faulty) =>
  Effect.acquireRelease(
    run("prlimit", "--pid", String(pid), `--fsize=${bytes}:`),
    () => run("prlimit", "--pid", String(pid), "--fsize=unlimited:")
  )

describe.runIf(isLinux)("where files cannot grow", () => {
  ProcessTest.faults("directory", {
    module,
    place,
    faults: {
      "not at all": limit(0),
      "beyond a part of a sample": limit(3000),
      "beyond a single sample": limit(7000)
    }
  })
})

/** A file system of its own, which is small. */
const smallDisk = Effect.gen(function*() {
  const disk = yield* place
  yield* Effect.acquireRelease(
    run("mount", "-t", "tmpfs", "-o", "size=16m,mode=777", "tmpfs", disk),
    () => run("umount", disk)
  )
  return Path.join(disk, "root")
})

/** Leaves so little room that a purchase does not find its place, or not all of it. */
const fill = ({ place }: ProcessTest.Faulty) =>
  Effect.gen(function*() {
    const filler = Path.join(place, "../filler")
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
  ProcessTest.faults("directory", { module, place: smallDisk, faults: { "the disk is full": fill } })
})
