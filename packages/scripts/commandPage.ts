/**
 * Runs the commands of `docs/command.md` over example caches, and writes their output on a terminal of 80 columns. With `--check`
 * it says whether the page is old.
 *
 * In a block of the language `console`, a line that starts with `$ ` is a command, and the lines below it are its output.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { makeExampleCaches } from "./commandPage/caches.ts"
import { root } from "./published.ts"
import { writeOrCheck } from "./writeOrCheck.ts"

const page = "docs/command.md"
const home = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-page-")))
const bin = Path.join(home, ".bin")

const run = (command: string): string => {
  const { LLM_CACHE_DIRECTORY: _, ...env } = process.env
  const line = `stty cols 80 rows 50; ${command}`
  return ChildProcess.execFileSync("script", ["-qec", line, "/dev/null"], {
    cwd: home,
    encoding: "utf8",
    env: {
      ...env,
      HOME: home,
      NO_COLOR: "1",
      PATH: `${bin}:${env["PATH"]}`,
      SHELL: "/bin/bash",
      TERM: "xterm",
      TZ: "UTC"
    },
    stdio: ["ignore", "pipe", "inherit"]
  }).replaceAll("\r\n", "\n").replaceAll(home, "~").trimEnd()
}

const withOutput = (block: string): string =>
  block.split("\n")
    .filter((line) => line.startsWith("$ "))
    .map((line) => [line, run(`${line.slice(2)} || true`)].filter((text) => text !== "").join("\n"))
    .join("\n\n")

try {
  Fs.mkdirSync(bin)
  const main = Path.join(root, "packages/cli/src/main.ts")
  Fs.writeFileSync(Path.join(bin, "llm-cache"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, {
    mode: 0o755
  })
  await makeExampleCaches(home)
  const text = Fs.readFileSync(Path.join(root, page), "utf8")
  writeOrCheck(page, text.replace(/(?<=^```console\n)[\s\S]*?(?=\n```$)/gm, withOutput))
} finally {
  Fs.rmSync(home, { recursive: true })
}
