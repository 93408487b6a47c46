import { createHash } from "node:crypto"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { getCallSites } from "node:util"

const folder = "__cassettes__"

const testFile = /\.(?:test|spec)\.[cm]?[jt]sx?$/

/** The source of this package. */
const own = Path.join(import.meta.dirname, "../..") + Path.sep

/** The file of the test that calls: the nearest one with a name of tests, or the nearest outside of this package. */
export const callerFile = (): string | undefined => {
  // In most tests it is near: a frame costs 1 microsecond.
  const near = callerOf(10)
  return near !== undefined && testFile.test(near) ? near : callerOf(50)
}

const callerOf = (frames: number): string | undefined => {
  const scripts = new Set(getCallSites(frames, { sourceMap: false }).map(({ scriptName }) => scriptName))
  let nearest: string | undefined
  for (const script of scripts) {
    const [place = ""] = script.split("?", 1)
    const file = place.startsWith("file://") ? fileURLToPath(place) : place
    if (!Path.isAbsolute(file) || file.startsWith(own) || file.includes(`${Path.sep}node_modules${Path.sep}`)) continue
    if (testFile.test(file)) return file
    nearest ??= file
  }
  return nearest
}

/** The file of a cassette: in a folder beside the test, which has a folder for each file of tests. */
export const cassetteFile = (name: string, test: string | undefined, directory: string | undefined): string =>
  Path.resolve(
    directory ??
      (test === undefined
        ? folder
        : Path.join(Path.dirname(test), folder, Path.basename(test).replace(testFile, ""))),
    `${fileName(name)}.jsonl`
  )

/** The name, as far as every file system can have it. A name that was changed has a hash, so that no two share a file. */
const fileName = (name: string): string => {
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9_.-]+/g, "-").replaceAll(/^[-.]+|[-.]+$/g, "").slice(0, 80)
  if (plain === name && plain !== "" && !device.test(plain)) return name
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 8)
  return plain === "" ? hash : device.test(plain) ? `${hash}-${plain}` : `${plain}-${hash}`
}

/** Names of devices on Windows, also with an extension. */
const device = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/

/** A file in a message: relative to the working directory if it is beneath. */
export const shown = (file: string): string => {
  const relative = Path.relative(process.cwd(), file)
  return relative.startsWith("..") ? file : relative
}

/** The folder of all cassettes that a file is in, unless its directory was given. */
export const cassettesFolder = (file: string): string | undefined => {
  const all = Path.dirname(Path.dirname(file))
  return Path.basename(all) === folder ? all : undefined
}

const quoted = (path: string): string => /[^\w./@:\\-]/.test(path) ? JSON.stringify(path) : path

/** The command that runs the tests of a file with a variable of the environment. */
export const command = (test: string | undefined, variable: string): string => {
  const { VITEST } = process.env
  return [
    variable,
    VITEST === undefined ? "node --test" : "npx vitest run",
    test === undefined ? "" : quoted(Path.relative(process.cwd(), test))
  ].filter((part) => part !== "").join(" ")
}
