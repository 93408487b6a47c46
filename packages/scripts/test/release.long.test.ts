import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Path from "node:path"
import { manifestOf, published, root } from "../published.ts"

it("pnpm release --dry-run builds, packs and shows every published package", () => {
  const output = execFileSync(process.execPath, [Path.join(root, "packages/scripts/release.ts"), "--dry-run"], {
    cwd: root,
    encoding: "utf8"
  })
  for (const folder of published) {
    const { name, version } = manifestOf(folder)
    assert.match(output, new RegExp(`^${name}@${version}: \\d+ files, \\d+ KB packed$`, "m"))
  }
  assert.include(output, "nothing was published")
})
