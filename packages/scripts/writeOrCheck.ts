/** Writes a built file that is committed; with `--check`, fails instead if the file is not up to date. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "./published.ts"

const isCheck = process.argv.includes("--check")

export const writeOrCheck = (file: string, content: string): void => {
  const path = Path.join(root, file)
  const current = Fs.existsSync(path) ? Fs.readFileSync(path, "utf8") : undefined
  if (current === content) return
  if (isCheck) {
    console.error(`${file} is not up to date: run \`pnpm docs:build\``)
    process.exitCode = 1
  } else {
    Fs.writeFileSync(path, content)
    console.log(`wrote ${file}`)
  }
}
