import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** A new folder that is removed when the scope closes. */
export const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

/** Waits until the samples in a directory are forced to the disk, and its write-ahead log is empty. */
export const settled = (root: string) =>
  Effect.promise(async () => {
    const log = Path.join(root, ".purchases")
    while (Fs.existsSync(log) && Fs.readdirSync(log).some((name) => name.endsWith(".jsonl"))) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  })

/** Every file below a folder with its content, by its path; none where there is no folder. */
export const readTree = (directory: string): Record<string, string> =>
  !Fs.existsSync(directory) ? {} : Object.fromEntries(
    Fs.readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const file = Path.join(entry.parentPath, entry.name)
        return [Path.relative(directory, file), Fs.readFileSync(file, "utf8")]
      })
  )

/** The samples in a prompt's folder, by position. */
export const samplesIn = (directory: string): Record<number, string> =>
  Object.fromEntries(
    Object.entries(readTree(directory)).flatMap(([path, content]) => {
      const position = /(\d+)\.md$/.exec(path)?.[1]
      return position === undefined ? [] : [[Number(position), content]]
    })
  )
