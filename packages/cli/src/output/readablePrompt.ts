import type { Key } from "@llm-cache/core/Key"
import { asArray, asString, isObject, type JsonObject, parseJson } from "../import/json.ts"
import { excerpt, indent } from "./printable.ts"

/** A prompt for people: the JSON of a whole request as its messages, each field of a tool on one line. */
export const readablePrompt = ({ identity: { parameters }, prompt }: Key): string => {
  if (!("llm-cache" in (parseJson(parameters) as JsonObject))) return prompt
  const whole = parseJson(prompt)
  if (typeof whole === "string") return whole
  return Array.isArray(whole) && whole.every(isObject) ? whole.map(messageText).join("\n") : prompt
}

const messageText = ({ content, role, type, ...others }: JsonObject): string => {
  const parts = typeof content === "string" ? [content] : asArray(content).map(partText)
  const fields = Object.entries(others).map(([name, value]) => `${name}: ${lineOf(value)}`)
  return [`${asString(role) ?? asString(type) ?? "context"}:`, ...[...parts, ...fields].map(indent)].join("\n")
}

const partText = (part: unknown): string => {
  if (!isObject(part)) return lineOf(part)
  const { text, type, ...others } = part
  return typeof text === "string" && Object.keys(others).length === 0
    ? text
    : `${asString(type) ?? "part"}: ${lineOf(text === undefined ? others : { text, ...others })}`
}

const lineOf = (value: unknown): string => excerpt(typeof value === "string" ? value : JSON.stringify(value))
