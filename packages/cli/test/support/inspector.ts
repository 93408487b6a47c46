/** Runs `llm-cache inspect`, and reads its pages. */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll } from "vitest"
import { bin } from "./cli.ts"

interface Started {
  /** The address that it tells. */
  readonly url: string
  /** Ends it by a signal, and returns its exit code. */
  readonly stop: () => Promise<number | null>
}

/** Starts `llm-cache inspect`. With `user`, the process has no rights of root. */
export const inspect = (
  cache: string,
  args: ReadonlyArray<string> = [],
  { env, user }: { readonly env?: NodeJS.ProcessEnv; readonly user?: number | undefined } = {}
): Promise<Started> =>
  new Promise((resolve, reject) => {
    const child = ChildProcess.spawn(process.execPath, [bin, "inspect", "--json", "--cache", cache, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
      ...user !== undefined && { uid: user, gid: user }
    })
    afterAll(() => void child.kill("SIGKILL"))
    const ended = new Promise<number | null>((end) => child.on("close", end))
    child.on("error", reject)
    child.on("close", (code) => reject(new Error(`it ended with ${code}`)))
    child.stdout.setEncoding("utf8").once("data", (line: string) =>
      resolve({
        url: JSON.parse(line).url,
        stop: () => {
          child.kill("SIGTERM")
          return ended
        }
      }))
  })

/** The names and contents of all files below a folder. */
export const treeOf = (root: string): ReadonlyArray<string> =>
  Fs.readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted().map((name) => {
    const path = Path.join(root, name)
    return Fs.statSync(path).isDirectory() ? name : `${name} ${Fs.readFileSync(path, "base64")}`
  })
