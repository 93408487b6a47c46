import { DirectoryStore } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { persistent, run, sampleEach } from "../support/models.ts"
import { promptsOf } from "../support/payload.ts"

const main = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url))

/** Runs a program, and returns 1 if it writes something. */
const execute = (name: string, role: "ours" | "floor", file: string, ...args: ReadonlyArray<string>) => ({
  name,
  role,
  operations: 1,
  run: () =>
    Math.min(
      1,
      execFileSync(file, args, { cwd: Path.dirname(main), maxBuffer: 2 ** 30, stdio: ["ignore", "pipe", "ignore"] })
        .length
    )
})

const llmCache = (name: string, ...args: ReadonlyArray<string>) =>
  execute(name, "ours", process.execPath, main, ...args)

const fillDirectory = async (root: string, count: number, scope: Scope.Scope) => {
  const store = await Effect.runPromise(DirectoryStore.make(root, { durability: "process" }))
  await run(await persistent(store, scope), sampleEach(promptsOf(count), 64))
}

export const command: Row = {
  name: "command",
  title: "the command `llm-cache`, 10 prompts",
  operation: "a command",
  characters: 1,
  once: true,
  checks: [
    atMost(2, "a program that imports effect/cli"),
    atMost(2, "a program that imports effect/cli", "ls, directory"),
    atMost(1.3, "a program that imports effect/cli", "--version")
  ],
  setup: async ({ folder, scope }) => {
    const [directory, file] = [Path.join(folder, "ten"), Path.join(folder, "ten.db")]
    await fillDirectory(directory, 10, scope)
    const sqlite = await Effect.runPromise(Scope.provide(SqliteStore.make({ file }), scope))
    await run(await persistent(sqlite, scope), sampleEach(promptsOf(10)))
    return [
      llmCache("ls, SQLite", "ls", "--cache", file),
      execute(
        "a program that imports effect/cli",
        "floor",
        process.execPath,
        "--input-type=module",
        "--eval",
        "import \"effect/cli\"; console.log(1)"
      ),
      llmCache("ls, directory", "ls", "--cache", directory),
      llmCache("--version", "--version")
    ]
  }
}

export const commandDirectory: Row = {
  name: "command-directory",
  title: "`llm-cache ls` of a directory of 100,000 prompts",
  operation: "a command",
  characters: 1,
  once: true,
  rounds: 5,
  checks: [atMost(1.5, "find")],
  note: "Rough figures are of 10,000 prompts, where the start of Node is most of the time.",
  setup: async ({ folder, quick, scope }) => {
    const directory = Path.join(folder, "many")
    await fillDirectory(directory, quick ? 10_000 : 100_000, scope)
    return [llmCache("ls", "ls", "--cache", directory), execute("find", "floor", "find", directory)]
  }
}
