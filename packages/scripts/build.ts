/** Compiles the published packages, from nothing. */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { published, root } from "./published.ts"

for (const folder of published) Fs.rmSync(Path.join(root, folder, "dist"), { recursive: true, force: true })
ChildProcess.execFileSync(Path.join(root, "node_modules/.bin/tsc"), ["-b", ...published], {
  cwd: root,
  stdio: "inherit"
})
