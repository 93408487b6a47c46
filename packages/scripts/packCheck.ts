/**
 * Packs every package and tries the tarballs: publint and arethetypeswrong check them, and a project installs them,
 * compiles and runs.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { bin, type Packed, run, withTarballs } from "./pack.ts"
import { root } from "./published.ts"

/** Modules that a barrel leaves out, since every program that imports the barrel would load `effect/ai`. */
const outsideBarrels = ["@llm-cache/providers/ChatCompletionsModel"]

const modulesOf = ({ files, name }: Packed) => {
  const modules = files.flatMap((file) => /^dist\/(.+)\.js$/.exec(file)?.[1] ?? []).sort()
  const closed = modules.filter((module) => module === "index" || module.startsWith("internal/"))
  const open = modules.filter((module) => !closed.includes(module) && !outsideBarrels.includes(`${name}/${module}`))
  return { name, open, closed }
}

const testing = "@llm-cache/testing"

const suite = `
import { MemoryStore } from "@llm-cache/core"
import { SampleStoreTest } from "${testing}"

SampleStoreTest.suite("memory", MemoryStore.layer, { isDurable: false, hasPeek: true })
`

const vitestConfig = `
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: { setupFiles: ["${testing}/vitest"], reporters: ["default", "${testing}/Reporter"] }
})
`

/** Loads the types of every module. */
const libraries = (packages: ReadonlyArray<Packed>) =>
  packages.filter(({ isCommand }) => !isCommand).map(modulesOf).flatMap(({ name, open }) =>
    ["", ...open.map((module) => `/${module}`)].map((module) => `import "${name}${module}"`)
  ).concat(outsideBarrels.map((module) => `import "${module}"`)).join("\n")

/** TypeScript 7, and 6, which this package has for its API reference. */
const compilers = [`${bin}/tsc`, Path.join(import.meta.dirname, "node_modules/.bin/tsc")]

/** A test that Vitest and Node run. It gets the sample and the cassette, and imports the modules by their paths. */
const cassetteTest = (imports: string, checks: string) => `
import { LlmModel } from "@llm-cache/core"
import * as Cassette from "${testing}/Cassette"
import * as NoRequests from "${testing}/NoRequests"
import { Effect } from "effect"
${imports}

const model = LlmModel.layer({ model: "mock", generate: () => Effect.succeed({ samples: ["Hello"] }) })
const sampled = Effect.gen(function*() {
  return { text: yield* LlmModel.sampleOne("Hi"), cassette: yield* Cassette.Cassette }
}).pipe(Effect.provide(LlmModel.stack(Cassette.layer("greets"), model)), Effect.provide(NoRequests.layer))

test("greets", async () => {
  const { cassette, text } = await Effect.runPromise(sampled)
  ${checks}
})
`

const matchers = cassetteTest(
  `import "${testing}/vitest"\nimport { expect, test } from "vitest"`,
  `expect(cassette).toHaveAsked("Hi")
  await expect(Promise.resolve(cassette)).resolves.toHaveDrawn(1)
  const drawn: void = expect(cassette).toHaveDrawn(text === "Hello" ? 1 : 0)
  return drawn`
)

const nodeTest = cassetteTest(
  `import { test } from "node:test"`,
  `if (text !== "Hello" || cassette.draws[0]?.from !== "model") throw new Error("a cassette under Node's runner")`
)

const program = (packages: ReadonlyArray<Packed>) => `
import { LlmModel, Repeatable } from "@llm-cache/core"
import { Effect } from "effect"

const check = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what)
}
${
  // Only Vitest can load its suites.
  packages.filter(({ isCommand, name }) => name !== testing && !isCommand).map(modulesOf).map((
    { closed, name, open }
  ) => `
{
  const barrel: Record<string, unknown> = await import("${name}")
  const modules: Record<string, Record<string, unknown>> = { ${
    open.map((module) => `${module}: await import("${name}/${module}")`).join(", ")
  } }
  // A module that is no namespace of the barrel gives it each of its exports.
  const exported = new Map<string, unknown>(
    Object.entries(modules).flatMap(([module, content]) => module in barrel ? [[module, content]] : Object.entries(content))
  )
  check(Object.keys(barrel).join() === [...exported.keys()].sort().join(), "${name} does not export just its modules")
  for (const [module, content] of exported) check(barrel[module] === content, "${name}/" + module)
  for (const module of ${JSON.stringify(closed)}) {
    const code: unknown = await import("${name}/" + module).then(() => "none", (error) => error.code)
    check(code === "ERR_PACKAGE_PATH_NOT_EXPORTED", "${name}/" + module + " is not refused, " + code)
  }
}`).join("\n")}

for (const module of ${JSON.stringify(outsideBarrels)}) check("layer" in await import(module), module)

const mock = LlmModel.layer({ model: "mock", generate: ({ prompt }) => Effect.succeed({ samples: [prompt] }) })
const sampled = LlmModel.sampleOne("Hello").pipe(Effect.provide(Repeatable.layer), Effect.provide(mock))
check(await Effect.runPromise(sampled) === "Hello", "a sample")
`

const commonJs = `
const { LlmModel, Persistent } = require("@llm-cache/core")
const { SqliteStore } = require("@llm-cache/sqlite")
const { Effect } = require("effect")

const model = LlmModel.layer({ model: "mock", generate: ({ prompt }) => Effect.succeed({ samples: [prompt] }) })
const sampleOne = LlmModel.sampleOne("Hello")
const program = Effect.forEach([{ directory: "cache" }, { store: SqliteStore.layer({ file: "cache.db" }) }], (place) =>
  Effect.all([
    sampleOne.pipe(Effect.provide(Persistent.layer(place)), Effect.provide(model)),
    sampleOne.pipe(Effect.provide(Persistent.layerReplication({ model: "mock", ...place })))
  ]))
Effect.runPromise(program).then((samples) => {
  if (samples.join() !== "Hello,Hello,Hello,Hello") throw new Error("a sample in CommonJS: " + samples)
})
`

const checkProject = (packages: ReadonlyArray<Packed>, folder: string) => {
  const project = Path.join(folder, "project")
  const write = (file: string, content: unknown) =>
    Fs.writeFileSync(Path.join(project, file), typeof content === "string" ? content : JSON.stringify(content))
  const tarballs = Object.fromEntries(packages.map(({ name, tarball }) => [name, `file:${tarball}`]))
  const versions = Object.fromEntries(["effect", "@effect/vitest", "@types/node", "vitest"].map((name) => [
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
      // Vitest's declarations need types of Node and of Vite.
      skipLibCheck: true
    },
    files: ["main.ts", "suite.test.ts", "matchers.test.ts"]
  })
  write("tsconfig.libraries.json", {
    extends: "./tsconfig.json",
    compilerOptions: { types: ["node"], skipLibCheck: false },
    files: ["main.ts", "libraries.ts", "suite.test.ts", "matchers.test.ts"]
  })
  write("libraries.ts", libraries(packages))
  write("main.ts", program(packages))
  write("commonJs.cjs", commonJs)
  write("suite.test.ts", suite)
  write("matchers.test.ts", matchers)
  write("agent.node.ts", nodeTest)
  write("vitest.config.ts", vitestConfig)
  run(project, "pnpm", "install", "--prefer-offline", "--no-frozen-lockfile")
  run(project, `${bin}/tsc`)
  for (const compiler of compilers) run(project, compiler, "-p", "tsconfig.libraries.json")
  run(project, process.execPath, "main.ts")
  Fs.mkdirSync(Path.join(project, "cache"))
  for (const args of [["--version"], ["ls", "--cache", "cache"]]) {
    run(project, Path.join(project, "node_modules/.bin/llm-cache"), ...args)
  }
  run(project, process.execPath, "commonJs.cjs")
  for (const mode of ["update", "replay"]) {
    process.env["LLM_CACHE_CASSETTES"] = mode
    run(project, Path.join(project, "node_modules/.bin/vitest"), "--run")
  }
  process.env["LLM_CACHE_CASSETTES"] = "update"
  run(project, process.execPath, "--test", "agent.node.ts")
}

withTarballs((packages, folder) => {
  // A command has no types for others.
  for (const { isCommand, tarball } of packages) {
    if (!isCommand) run(root, `${bin}/attw`, tarball, "--profile", "esm-only", "--format", "ascii")
  }
  checkProject(packages, folder)
})
