import { ProcessTest } from "@llm-cache/testing"
import { Effect } from "effect"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe } from "vitest"
import { fill, folder, isLinux, isRoot, limit, smallDisk } from "../../testing/test/support/disk.ts"

const place = Effect.map(folder, (root) => Path.join(root, "samples.db"))

const module = new URL("./support/store.ts", import.meta.url)

ProcessTest.suite("SQLite", { module, place, hasLeases: true })

/** Another program holds the file until the scope closes. */
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

describe.runIf(isLinux)("with a limit for the size of files", () => {
  ProcessTest.faults("SQLite", {
    module,
    place,
    faults: { "files cannot grow": limit(0), "files reach a limit": limit(20_000) }
  })
})

describe.runIf(isLinux && isRoot)("on a small disk (needs root and Linux)", () => {
  ProcessTest.faults("SQLite", {
    module,
    place: Effect.map(smallDisk("32m"), (disk) => Path.join(disk, "samples.db")),
    faults: { "the disk is full": ({ place }) => fill(Path.dirname(place)) }
  })
})
