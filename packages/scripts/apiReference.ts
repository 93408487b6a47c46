/**
 * Builds the API reference of the published packages into `dist/api`, by TypeDoc with a TypeScript of its own. Fails if the
 * reference lacks an export of a public module.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Application, Comment, type DeclarationReflection, type ProjectReflection, ReflectionKind } from "typedoc"
import * as TypeScript from "typescript"
import { libraries, root } from "./published.ts"

process.chdir(root)
const modules = libraries.flatMap((folder) => Fs.globSync(`${folder}/src/*.ts`)).filter((file) =>
  Path.basename(file) !== "index.ts"
).sort()

const folder = "packages/scripts/dist/api"
Fs.mkdirSync(folder, { recursive: true })
const tsconfig = `${folder}/tsconfig.json`
Fs.writeFileSync(
  tsconfig,
  JSON.stringify({
    extends: "../../../../tsconfig.base.json",
    compilerOptions: { incremental: false, tsBuildInfoFile: null },
    files: modules.map((file) => Path.relative(folder, file))
  })
)

const app = await Application.bootstrap({
  name: "@llm-cache",
  readme: "docs/README.md",
  out: "dist/api",
  tsconfig,
  entryPoints: modules,
  // `pnpm check` finds type errors.
  skipErrorChecking: true,
  excludeInternal: true,
  excludeExternals: true,
  disableSources: true,
  categorizeByGroup: false,
  sort: ["source-order"],
  logLevel: "Error"
})

const project = await app.convert()
if (project === undefined) throw new Error("TypeDoc could not read the sources")

/** The first comment of a module. TypeDoc takes it for the comment of an import. */
const headerOf = (file: string): Comment => {
  const [, header = ""] = /^\/\*\*\n([\s\S]*?)\n \* @since/.exec(Fs.readFileSync(file, "utf8")) ?? []
  return new Comment([{ kind: "text", text: header.replaceAll(/^ \* ?/gm, "") }])
}

const documented = (module: DeclarationReflection | ProjectReflection): ReadonlySet<string> =>
  new Set(module.children?.map(({ name }) => name))

const reflections = project.getChildrenByKind(ReflectionKind.Module)
const missing: Array<string> = []
let total = 0
for (const { displayName, program, sourceFile } of app.getEntryPoints() ?? []) {
  const checker = program.getTypeChecker()
  const symbol = checker.getSymbolAtLocation(sourceFile)
  const names = symbol === undefined ? [] : checker.getExportsOfModule(symbol).map(({ name }) => name)
  const reflection = reflections.find(({ name }) => name === displayName)
  const known = reflection === undefined ? new Set<string>() : documented(reflection)
  total += names.length
  missing.push(...names.filter((name) => !known.has(name)).map((name) => `${displayName}: ${name}`))
}
for (const reflection of reflections) {
  reflection.comment = headerOf(`packages/${reflection.name}.ts`)
  // The name that programs import.
  reflection.name = reflection.name.replace(/^(.*)\/src\//, "@llm-cache/$1/")
}

missing.forEach((name) => console.error(`not in the reference: ${name}`))
await app.generateOutputs(project)
console.log(`dist/api: ${modules.length} modules, ${total} exports, TypeScript ${TypeScript.version}`)
process.exitCode = missing.length === 0 && !app.logger.hasErrors() ? 0 : 1
