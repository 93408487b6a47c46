import { parseJson } from "@llm-cache/core/StoreRow"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { decode, encode, type Line } from "./line.ts"
import { Lines } from "./lines.ts"

/** A line that is no sample, or that contradicts another line. */
export class BadLine extends Error {}

/** The samples of a file, none if there is no file. */
export const readLines = (file: string): ReadonlyArray<Line> => decodeAll(read(file).split(/\r?\n/))

/** The samples of an unfinished recording. A killed process leaves a part of a line, which it handed out to no one. */
export const readPartial = (file: string): ReadonlyArray<Line> =>
  decodeAll(read(file).split("\n").filter((json) => parseJson(json) !== undefined))

const read = (file: string): string => {
  try {
    return Fs.readFileSync(file, "utf8")
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return ""
    throw cause
  }
}

const decodeAll = (lines: ReadonlyArray<string>): ReadonlyArray<Line> =>
  lines.flatMap((json, index) => {
    if (json.trim() === "") return []
    const line = decode(json)
    if (typeof line === "string") throw new BadLine(`line ${index + 1}: ${line}`)
    return [line]
  })

/** The lines of several files, each once: git may keep the same line of both sides. */
export const unite = (lines: ReadonlyArray<Line>): Lines => {
  const united = new Lines()
  for (const line of lines) {
    const { entry: { drawn, position }, key } = line
    const other = united.get(key, position)
    if (other !== undefined && other.entry.drawn.text !== drawn.text) {
      throw new BadLine(
        `it has two samples at position ${position} of the prompt ${excerpt(key.prompt)}: keep one of the lines. ` +
          "If two tests record it, give each a cassette of its own name"
      )
    }
    if (other === undefined) united.set(line)
  }
  return united
}

/** Adds lines to an unfinished recording: each begins a line, since the last one may be a part. */
export const appendLines = (file: string, lines: ReadonlyArray<Line>): void => {
  append(file, lines.map((line) => `\n${encode(line)}`).join(""))
}

/** Throws where no line can be added, and leaves no new file or folder. */
export const probe = (file: string): void => {
  const made = append(file, "")
  if (Fs.statSync(file, { throwIfNoEntry: false })?.size === 0) Fs.rmSync(file, { force: true })
  if (made !== undefined) removeEmptyFolders(file, made)
}

/** Returns the uppermost folder that it made. */
const append = (file: string, text: string, tries = 10): string | undefined => {
  try {
    const made = Fs.mkdirSync(Path.dirname(file), { recursive: true })
    Fs.appendFileSync(file, text)
    return made
  } catch (cause) {
    // Another process may just have removed the empty folder.
    if (tries === 0 || (cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause
    return append(file, text, tries - 1)
  }
}

/** Removes the folder of a file and those above it, up to `top`, as far as they are empty. */
export const removeEmptyFolders = (file: string, top: string): void => {
  try {
    for (let folder = Path.dirname(file); folder.startsWith(top); folder = Path.dirname(folder)) Fs.rmdirSync(folder)
  } catch {
    // It has files, or another process removed it.
  }
}

/** Writes a file whole or not at all. */
export const writeLines = (file: string, lines: ReadonlyArray<Line>): void => {
  const content = lines.toSorted(inOrder).map((line) => `${encode(line)}\n`).join("")
  const temporary = `${file}.${process.pid}.${crypto.randomUUID().slice(0, 8)}.tmp`
  Fs.writeFileSync(temporary, content)
  Fs.renameSync(temporary, file)
}

/** The beginning of a text, quoted. */
export const excerpt = (text: string, length = 100): string =>
  JSON.stringify(text.length > length ? `${text.slice(0, length)}…` : text)

// By prompt, so that a chat's turns follow each other, each beside its neighbours in the next recording too.
const inOrder = (one: Line, other: Line): number =>
  compare(one.key.prompt, other.key.prompt) ||
  compare(one.key.identity.id, other.key.identity.id) ||
  compare(JSON.stringify(one.key.path), JSON.stringify(other.key.path)) ||
  one.entry.position - other.entry.position

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
