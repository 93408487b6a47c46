// Places on the disk for the tests of stores, and faults of a disk.
import { Effect, Random } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { ProcessTest } from "../../src/index.ts"

export const isRoot = process.getuid?.() === 0
export const isLinux = process.platform === "linux"

const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.sync(() => ChildProcess.execFileSync(command, args, { encoding: "utf8" }))

/** A new folder, also for an unprivileged process, until the scope closes. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))
    if (isRoot) Fs.chownSync(root, 65534, 65534)
    return root
  }),
  (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true }))
)

/** Limits the length of files of the process: it writes only a part of a longer text. */
export const limit = (bytes: number) => ({ pid }: ProcessTest.Faulty) =>
  Effect.acquireRelease(
    run("prlimit", "--pid", String(pid), `--fsize=${bytes}:`),
    () => run("prlimit", "--pid", String(pid), "--fsize=unlimited:")
  )

/** A small file system (needs root and Linux). */
export const smallDisk = (size: string) =>
  Effect.tap(folder, (disk) =>
    Effect.acquireRelease(
      run("mount", "-t", "tmpfs", "-o", `size=${size},mode=777`, "tmpfs", disk),
      () => run("umount", disk)
    ))

/** Fills a disk: the samples of a request find no space, or too little. */
export const fill = (disk: string) =>
  Effect.gen(function*() {
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
