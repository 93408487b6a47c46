/** The packages of the workspace that are published, and the folder of the workspace. */
import * as Fs from "node:fs"
import * as Path from "node:path"

export const root = Path.join(import.meta.dirname, "../..")

/** The description of a package: `package.json`. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly bin?: { readonly [command: string]: string }
}

export const manifestOf = (folder: string): Manifest =>
  JSON.parse(Fs.readFileSync(Path.join(root, folder, "package.json"), "utf8"))

/** The folders of the published packages, below the root. */
export const published: ReadonlyArray<string> = Fs.globSync("packages/*/package.json", { cwd: root })
  .map((file) => Path.dirname(file))
  .filter((folder) => manifestOf(folder).private !== true)
  .sort()

/** The folders of the packages that programs import. A package with a command has no modules for them. */
export const libraries: ReadonlyArray<string> = published.filter((folder) => manifestOf(folder).bin === undefined)
