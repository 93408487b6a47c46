/**
 * Publishes the packages with a new version: `pnpm release`, as in the release workflow.
 * `pnpm release --dry-run` builds, packs and checks, shows the packages, and needs no registry.
 */
import * as Fs from "node:fs"
import { parseArgs } from "node:util"
import { bin, run, withTarballs } from "./pack.ts"
import { root } from "./published.ts"

const { values } = parseArgs({ options: { "dry-run": { type: "boolean", default: false } } })

withTarballs((packages) => {
  console.log("")
  for (const { files, name, tarball, version } of packages) {
    const size = Math.ceil(Fs.statSync(tarball).size / 1024)
    console.log(`${name}@${version}: ${files.length} files, ${size} KB packed`)
  }
})
if (values["dry-run"]) console.log("Dry run: nothing was published")
else run(root, `${bin}/changeset`, "publish")
