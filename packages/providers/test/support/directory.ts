import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** A new folder that is removed when the scope closes. */
export const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

/** Every file below a folder with its content, by its path. */
export const readTree = (directory: string): Record<string, string> =>
  Object.fromEntries(
    Fs.readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => {
        const file = Path.join(entry.parentPath, entry.name)
        return [Path.relative(directory, file), Fs.readFileSync(file, "utf8")]
      })
  )
