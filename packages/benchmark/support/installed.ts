/**
 * Installs the packages like published ones in a `node_modules`: compiled, with the exports of the registry.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"

const root = Path.join(import.meta.dirname, "../../..")

export const install = (folder: string, packages: ReadonlyArray<string>): void => {
  const require = createRequire(import.meta.url)
  const tsc = Path.join(Path.dirname(require.resolve("typescript/package.json")), "bin/tsc")
  execFileSync(process.execPath, [tsc, "-b", ...packages.map((name) => Path.join(root, "packages", name))], {
    stdio: "inherit"
  })
  for (const name of packages) {
    const source = Path.join(root, "packages", name)
    const target = Path.join(folder, "node_modules/@llm-cache", name)
    Fs.cpSync(Path.join(source, "dist"), Path.join(target, "dist"), { recursive: true })
    const { publishConfig, ...description } = JSON.parse(Fs.readFileSync(Path.join(source, "package.json"), "utf8"))
    Fs.writeFileSync(Path.join(target, "package.json"), JSON.stringify({ ...description, ...publishConfig }))
    for (const dependency of Object.keys({ effect: "", ...description.dependencies })) {
      if (!dependency.startsWith("@llm-cache/")) link(Path.join(source, "node_modules", dependency), folder, dependency)
    }
  }
}

const link = (target: string, folder: string, name: string): void => {
  const path = Path.join(folder, "node_modules", name)
  if (Fs.existsSync(path)) return
  Fs.mkdirSync(Path.dirname(path), { recursive: true })
  Fs.symlinkSync(Fs.realpathSync(target), path)
}
