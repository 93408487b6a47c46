/**
 * Packs every package and looks at the tarballs as their users do: what is in them, what publint and arethetypeswrong
 * say, and whether a project that installs them compiles and runs.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { published, root } from "./published.ts"

const bin = Path.join(root, "node_modules/.bin")
const temporary = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-pack-"))

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) => {
  console.log(`$ ${Path.basename(command)} ${args.join(" ")}`)
  ChildProcess.execFileSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] })
}

const read = (cwd: string, command: string, ...args: ReadonlyArray<string>) =>
  ChildProcess.execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

interface Packed {
  readonly name: string
  readonly tarball: string
  readonly files: ReadonlyArray<string>
}

const pack = (directory: string): Packed => {
  const answer = read(Path.join(root, directory), "pnpm", "pack", "--json", "--pack-destination", temporary)
  const { filename, name } = JSON.parse(answer) as { readonly name: string; readonly filename: string }
  const files = read(root, "tar", "-tzf", filename).trim().split("\n").map((file) => file.slice("package/".length))
  return { name, tarball: filename, files }
}

const required = ["LICENSE", "README.md", "dist/index.d.ts", "dist/index.js", "dist/index.js.map", "src/index.ts"]
const allowed = /^(LICENSE|README\.md|package\.json|src\/[\w/]+\.ts|dist\/[\w/]+\.(js|d\.ts)(\.map)?)$/

const checkTarball = ({ files, name, tarball }: Packed) => {
  const lacking = required.filter((file) => !files.includes(file))
  if (lacking.length > 0) throw new Error(`${name}: the tarball lacks ${lacking.join(", ")}`)
  const foreign = files.filter((file) => !allowed.test(file))
  if (foreign.length > 0) throw new Error(`${name}: the tarball should not have ${foreign.join(", ")}`)
  run(root, `${bin}/publint`, tarball, "--strict")
  run(root, `${bin}/attw`, tarball, "--profile", "esm-only", "--format", "ascii")
}

const modulesOf = ({ files, name }: Packed) => {
  const modules = files.flatMap((file) => /^dist\/(.+)\.js$/.exec(file)?.[1] ?? []).sort()
  const closed = modules.filter((module) => module === "index" || module.startsWith("internal/"))
  return { name, open: modules.filter((module) => !closed.includes(module)), closed }
}

const testing = "@llm-cache/testing"

const suite = `
import { MemoryStore, } from "@llm-cache/core"
import { Test } from "${testing}"

SampleStoreTest.suite("memory", MemoryStore.layer, { isDurable: false })
`

const program = (packages: ReadonlyArray<Packed>) => `
import { LlmModel, Repeatable } from "@llm-cache/core"
import { Effect } from "effect"

const check = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what)
}
${
  // Those of Vitest can be loaded by it alone.
  packages.filter(({ name }) => name !== testing).map(modulesOf).map(({ closed, name, open }) => `
{
  const barrel: Record<string, unknown> = await import("${name}")
  const modules = { ${open.map((module) => `${module}: await import("${name}/${module}")`).join(", ")} }
  check(Object.keys(barrel).join() === Object.keys(modules).join(), "${name} does not export just its modules")
  for (const [module, content] of Object.entries(modules)) check(barrel[module] === content, "${name}/" + module)
  for (const module of ${JSON.stringify(closed)}) {
    const code: unknown = await import("${name}/" + module).then(() => "none", (error) => error.code)
    check(code === "ERR_PACKAGE_PATH_NOT_EXPORTED", "${name}/" + module + " is not refused, " + code)
  }
}`).join("\n")}

const mock = LlmModel.layer({ model: "mock", generate: ({ prompt }) => Effect.succeed({ samples: [prompt] }) })
const sampled = LlmModel.sampleOne("Hello").pipe(Effect.provide(Repeatable.layer), Effect.provide(mock))
check(await Effect.runPromise(sampled) === "Hello", "a sample")
`

const checkProject = (packages: ReadonlyArray<Packed>) => {
  const project = Path.join(temporary, "project")
  const write = (file: string, content: unknown) =>
    Fs.writeFileSync(Path.join(project, file), typeof content === "string" ? content : JSON.stringify(content))
  const tarballs = Object.fromEntries(packages.map(({ name, tarball }) => [name, `file:${tarball}`]))
  const versions = Object.fromEntries(["effect", "@effect/vitest", "vitest"].map((name) => [
    name,
    JSON.parse(Fs.readFileSync(Path.join(import.meta.dirname, "node_modules", name, "package.json"), "utf8")).version
  ]))
  Fs.mkdirSync(project)
  write("package.json", { type: "module", dependencies: { ...tarballs, ...versions } })
  write("pnpm-workspace.yaml", { overrides: tarballs })
  write("tsconfig.json", {
    compilerOptions: {
      target: "ES2023",
      module: "NodeNext",
      strict: true,
      noEmit: true,
      types: [],
      // Vitest's declarations want types of Node and of Vite.
      skipLibCheck: true
    },
    files: ["main.ts", "suite.test.ts"]
  })
  write("main.ts", program(packages))
  write("suite.test.ts", suite)
  run(project, "pnpm", "install", "--prefer-offline", "--no-frozen-lockfile")
  run(project, `${bin}/tsc`)
  run(project, process.execPath, "main.ts")
  run(project, Path.join(project, "node_modules/.bin/vitest"), "--run")
}

try {
  run(root, "pnpm", "run", "build")
  const packages = published.map(pack)
  packages.forEach(checkTarball)
  checkProject(packages)
} finally {
  Fs.rmSync(temporary, { recursive: true })
}
