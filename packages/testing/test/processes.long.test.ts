import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { describe } from "vitest"
import { ProcessTest } from "../src/index.ts"
import { fill, folder, isLinux, isRoot, limit, smallDisk } from "./support/disk.ts"

const module = new URL("./support/directory.ts", import.meta.url)
const unprivileged = new URL("./support/unprivileged.ts", import.meta.url)

ProcessTest.suite("directory", { module, place: folder })

// -----------------------------------------------------------------------------
// without rights
// -----------------------------------------------------------------------------

const folders = (root: string, name: RegExp) =>
  Fs.readdirSync(root, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isDirectory() && name.test(entry.name))
    .map((entry) => Path.join(entry.parentPath, entry.name))

/** Makes folders read-only. */
const readOnly = (name: RegExp) => ({ place }: ProcessTest.Faulty) =>
  Effect.acquireRelease(
    Effect.sync(() => [place, ...folders(place, name)].filter((folder) => name.test(Path.basename(folder)))),
    (taken) => Effect.sync(() => taken.forEach((folder) => Fs.chmodSync(folder, 0o755)))
  ).pipe(Effect.tap((taken) => Effect.sync(() => taken.forEach((folder) => Fs.chmodSync(folder, 0o555)))))

ProcessTest.faults("directory", {
  module: unprivileged,
  place: folder,
  faults: {
    "it becomes read-only": readOnly(/./),
    "the folders of prompts become read-only": readOnly(/^[0-9a-f]{64}$/),
    "its write-ahead log becomes read-only": readOnly(/^\.purchases$/)
  }
})

// -----------------------------------------------------------------------------
// without space
// -----------------------------------------------------------------------------

describe.runIf(isLinux)("with a limit for the size of files", () => {
  ProcessTest.faults("directory", {
    module,
    place: folder,
    faults: {
      "files cannot grow": limit(0),
      "files end within a sample": limit(3000),
      "files end behind a single sample": limit(7000)
    }
  })
})

describe.runIf(isLinux && isRoot)("on a small disk (needs root and Linux)", () => {
  ProcessTest.faults("directory", {
    module,
    place: Effect.map(smallDisk("16m"), (disk) => Path.join(disk, "root")),
    faults: { "the disk is full": ({ place }) => fill(Path.dirname(place)) }
  })
})
