/** Builds and packs the published packages, and checks the tarballs. */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { manifestOf, published, root } from "./published.ts"

export const bin = Path.join(root, "node_modules/.bin")

/** Runs a command and shows its output. */
export const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): void => {
  console.log(`$ ${Path.basename(command)} ${args.join(" ")}`)
  ChildProcess.execFileSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] })
}

const read = (cwd: string, command: string, ...args: ReadonlyArray<string>): string =>
  ChildProcess.execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

export interface Packed {
  readonly name: string
  readonly version: string
  readonly tarball: string
  readonly files: ReadonlyArray<string>
  /** Whether it has a command, and no modules for other packages. */
  readonly isCommand: boolean
}

const pack = (directory: string, target: string): Packed => {
  const answer = read(Path.join(root, directory), "pnpm", "pack", "--json", "--pack-destination", target)
  const { filename, name, version } = JSON.parse(answer) as Record<"name" | "version" | "filename", string>
  const files = read(root, "tar", "-tzf", filename).trim().split("\n").map((file) => file.slice("package/".length))
  return { name, version, tarball: filename, files, isCommand: manifestOf(directory).bin !== undefined }
}

const required = ({ isCommand }: Packed) => {
  const entry = isCommand ? "main" : "index"
  return ["LICENSE", "README.md", `dist/${entry}.d.ts`, `dist/${entry}.js`, `dist/${entry}.js.map`, `src/${entry}.ts`]
}
const allowed = /^(LICENSE|README\.md|package\.json|src\/[\w/]+\.ts|dist\/[\w/]+\.(js|d\.ts)(\.map)?)$/

const checkTarball = (packed: Packed): void => {
  const { files, name, tarball } = packed
  const lacking = required(packed).filter((file) => !files.includes(file))
  if (lacking.length > 0) throw new Error(`${name}: the tarball lacks ${lacking.join(", ")}`)
  const foreign = files.filter((file) => !allowed.test(file))
  if (foreign.length > 0) throw new Error(`${name}: the tarball should not have ${foreign.join(", ")}`)
  run(root, `${bin}/publint`, tarball, "--strict")
}

/** Gives the checked tarballs of all published packages, in a folder that is there until `use` returns. */
export const withTarballs = (use: (packages: ReadonlyArray<Packed>, folder: string) => void): void => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-pack-"))
  try {
    run(root, "pnpm", "run", "build")
    const packages = published.map((directory) => pack(directory, folder))
    packages.forEach(checkTarball)
    use(packages, folder)
  } finally {
    Fs.rmSync(folder, { recursive: true })
  }
}
