import * as Result from "effect/Result"
import { read } from "./reader.ts"
import type { Node } from "./spec.ts"

/** Why a value cannot be written. */
export interface Unwritable {
  readonly path: ReadonlyArray<number>
  readonly description: string
  readonly cause?: unknown
}

/**
 * Writes a value, in which JSON is text, so that reading it gives it back. Whether that is so depends on what its parts
 * hold and on what is beside them, so it is read to be sure.
 */
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

const misread = "what is written would be read as"

const advice =
  "A text must not hold what ends it: its own closing tag, where the next item begins, a fence that stays open"

class Writer {
  text = ""
  private isText = false

  write(node: Node, value: unknown): void {
    switch (node._tag) {
      case "Tag":
        return this.addBlock(`${node.open}\n${withLineBreak(value as string)}${node.close}`)
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

  // On a line of its own, unless that would add to a text.
  private addBlock(block: string): void {
    const isOnItsOwn = this.isText || this.text === "" || this.text.endsWith("\n")
    this.text += isOnItsOwn ? block : `\n${block}`
    this.isText = false
  }
}

// A carriage return at the end would be part of a mere line feed.
const withLineBreak = (text: string): string => text + (text.endsWith("\r") ? "\r\n" : "\n")

const firstDifference = (one: unknown, other: unknown): ReadonlyArray<number> | undefined => {
  if (!Array.isArray(one) || !Array.isArray(other)) return one === other ? undefined : []
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    const path = firstDifference(one[i], other[i])
    if (path !== undefined) return [i, ...path]
  }
  return undefined
}
