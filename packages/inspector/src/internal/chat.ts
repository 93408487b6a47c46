import * as Predicate from "effect/Predicate"

/** A part of a message: text, or something that is folded. */
export interface ChatPart {
  readonly kind: "text" | "folded"
  /** The title of a folded part, such as `tool call search`. */
  readonly title: string
  readonly text: string
}

/** A message of a chat. */
export interface ChatMessage {
  readonly role: string
  readonly parts: ReadonlyArray<ChatPart>
}

/** The messages of a prompt that is a chat in JSON: an array, or an object with `messages` or `input`. */
export const messagesOf = (prompt: string): ReadonlyArray<ChatMessage> | undefined => {
  if (!/^\s*[[{]/.test(prompt)) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(prompt)
  } catch {
    return undefined
  }
  const list: unknown = Predicate.hasProperty(parsed, "messages")
    ? parsed.messages
    : Predicate.hasProperty(parsed, "input")
    ? parsed.input
    : parsed
  if (!Array.isArray(list) || list.length === 0) return undefined
  const messages = list.flatMap((item: unknown): ReadonlyArray<ChatMessage> => {
    const message = messageOf(item)
    return message === undefined ? [] : [message]
  })
  if (messages.length < list.length) return undefined
  const others = Predicate.isObject(parsed) && !Array.isArray(parsed)
    ? Object.entries(parsed).filter(([name]) => name !== "messages" && name !== "input")
    : []
  return others.length === 0 ? messages : [...messages, {
    role: "request",
    parts: others.map(([name, value]) => folded(name, value))
  }]
}

/** The text that tells a prompt from others: of a chat, the last text of the user, or else of anybody. */
export const gist = (prompt: string): string => {
  const messages = messagesOf(prompt)
  if (messages === undefined) return prompt
  const textOf = ({ parts }: ChatMessage) => parts.find(({ kind }) => kind === "text")?.text
  const last = messages.findLast((message) => message.role === "user" && textOf(message) !== undefined) ??
    messages.findLast((message) => textOf(message) !== undefined)
  return last && textOf(last) || prompt
}

const messageOf = (item: unknown): ChatMessage | undefined => {
  if (!Predicate.isObject(item)) return undefined
  const fields: { readonly [name: string]: unknown } = { ...item }
  const { content, role, type, ...rest } = fields
  if (typeof role !== "string" && typeof type !== "string") return undefined
  return {
    role: typeof role === "string" ? role : String(type).replaceAll("_", " "),
    parts: [
      ...partsOf(content),
      ...Object.entries(rest).flatMap(([name, value]) =>
        Array.isArray(value) && /^tool_?calls$/i.test(name)
          ? value.map((call: unknown) => folded(callTitle(call), call))
          : value === undefined || value === null
          ? []
          : [folded(name.replaceAll("_", " "), value)]
      )
    ]
  }
}

const partsOf = (content: unknown): ReadonlyArray<ChatPart> => {
  if (typeof content === "string") return content === "" ? [] : [{ kind: "text", title: "", text: content }]
  if (content === null || content === undefined) return []
  if (!Array.isArray(content)) return [folded("content", content)]
  return content.map((part: unknown): ChatPart =>
    typeof part === "string"
      ? { kind: "text", title: "", text: part }
      : Predicate.hasProperty(part, "text") && typeof part.text === "string" && !isReasoning(part)
      ? { kind: "text", title: "", text: part.text }
      : folded(callTitle(part), part)
  )
}

const isReasoning = (part: unknown): boolean =>
  Predicate.hasProperty(part, "type") && /reasoning|thinking/.test(String(part.type))

const callTitle = (call: unknown): string => {
  if (!Predicate.isObject(call)) return "part"
  const { function: called, name, type }: { readonly [name: string]: unknown } = call
  const title = typeof type === "string" && type !== "function" ? type.replaceAll(/[_-]/g, " ") : "tool call"
  const tool = name ?? (Predicate.hasProperty(called, "name") ? called.name : undefined)
  return typeof tool === "string" ? `${title} ${tool}` : title
}

/** Something that is shown when it is opened. */
export const folded = (title: string, value: unknown): ChatPart => ({
  kind: "folded",
  title,
  text: typeof value === "string" ? value : JSON.stringify(value, undefined, 2)
})
