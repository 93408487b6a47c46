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
  place: folder,
  faults: {
    "it may not write any more": readOnly(/./),
    "it may not write to the folders of prompts any more": readOnly(/^[0-9a-f]{64}$/),
    "it may not write to the log of purchases any more": readOnly(/^\.purchases$/)
  }
})

// -----------------------------------------------------------------------------
// no room
// -----------------------------------------------------------------------------

describe.runIf(isLinux)("where files cannot grow", () => {
  ProcessTest.faults("directory", {
    module,
    place: folder,
    faults: {
      "not at all": limit(0),
      "beyond a part of a sample": limit(3000),
      "beyond a single sample": limit(7000)
    }
  })
})

describe.runIf(isLinux && isRoot)("on a small disk, which root can make", () => {
  ProcessTest.faults("directory", {
    module,
    place: Effect.map(smallDisk("16m"), (disk) => Path.join(disk, "root")),
    faults: { "the disk is full": ({ place }) => fill(Path.dirname(place)) }
  })
})
