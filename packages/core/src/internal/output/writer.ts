import * as Result from "effect/Result"
import { read } from "./reader.ts"
import type { Node, Tag } from "./spec.ts"

/** The reason why a value cannot be written. */
export interface Unwritable {
  readonly path: ReadonlyArray<number>
  readonly description: string
  readonly cause?: unknown
}

/** Writes a value with its JSON as text. It reads the result, because a part may change the meaning of its neighbours. */
export const write = (node: Node, value: unknown): Result.Result<string, Unwritable> => {
  const writer = new Writer()
  writer.write(node, value)
  const reading = read(node, writer.text)
  if (Result.isFailure(reading)) {
    const { expected, found, path } = reading.failure
    return Result.fail({
      path,
      description: `${misread} nothing (expected ${expected}, and found ${found}). ${advice}`
    })
  }
  const path = firstDifference(value, reading.success.values[0])
  return path === undefined
    ? Result.succeed(writer.text)
    : Result.fail({ path, description: `${misread} another value from here on. ${advice}` })
}

const misread = "`parse` would read"

const advice =
  "Leave out of each text: its own tags, tags of reasoning, the beginning of the next item, and code that stays open"

class Writer {
  text = ""
  private isText = false

  write(node: Node, value: unknown): void {
    switch (node._tag) {
      case "Tag":
        return this.addBlock(`${node.open}\n${withLineBreak(contentOf(node, value))}${node.close}`)
      case "Code":
      case "Json": {
        const body = value as string
        const marker = "`".repeat((body.match(/`{3,}/g) ?? []).reduce((most, run) => Math.max(most, run.length + 1), 3))
        return this.addBlock(`${marker}${node.language ?? ""}\n${withLineBreak(body)}${marker}\n`)
      }
      case "Text":
        this.text += value as string
        this.isText = true
        return
      case "Sequence":
        return (value as ReadonlyArray<unknown>).forEach((part, i) => this.write(node.parts[i]!, part))
      case "Repeat":
        return (value as ReadonlyArray<unknown>).forEach((item) => this.write(node.item, item))
    }
  }

  // A block needs its own line. Behind a text, a line break would become part of the text.
  private addBlock(block: string): void {
    const isOnItsOwn = this.isText || this.text === "" || this.text.endsWith("\n")
    this.text += isOnItsOwn ? block : `\n${block}`
    this.isText = false
  }
}

const contentOf = ({ content }: Tag, value: unknown): string => {
  if (content === undefined) return value as string
  const writer = new Writer()
  writer.write(content, value)
  return writer.text.replace(/\n$/, "")
}

// A line feed behind a carriage return would read as one line break.
const withLineBreak = (text: string): string => text + (text.endsWith("\r") ? "\r\n" : "\n")

const firstDifference = (one: unknown, other: unknown): ReadonlyArray<number> | undefined => {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other ? undefined : []
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    const path = firstDifference(one[i], other[i])
    if (path !== undefined) return [i, ...path]
  }
  return undefined
}
