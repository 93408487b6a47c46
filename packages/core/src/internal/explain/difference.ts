import * as Predicate from "effect/Predicate"
import * as TextDiff from "effect/TextDiff"
import type { Difference, Edit } from "../../Explain.ts"
import { parseJson } from "../../StoreRow.ts"
import { piecesOf } from "./words.ts"

/** More edits than this are shown as a part that was replaced. */
const maxEdits = 2000

/** The differences of two prompts by word: of each message, if both are chats. */
export const differencesOf = (stored: string, asked: string): ReadonlyArray<Difference> => {
  const [before, after] = [messagesIn(stored), messagesIn(asked)]
  if (before === undefined || after === undefined) return [{ edits: editsOf(stored, asked) }]
  const differences: Array<Difference> = []
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const [one, other] = [before[i], after[i]]
    if (one?.text === other?.text) continue
    differences.push({ message: i, role: (other ?? one)!.role, edits: editsOf(one?.text ?? "", other?.text ?? "") })
  }
  // The chats differ beside their messages.
  return differences.length > 0 ? differences : [{ edits: editsOf(stored, asked) }]
}

const editsOf = (before: string, after: string): ReadonlyArray<Edit> => {
  // A break between words that both lack would cut each phrase in two.
  const edits = TextDiff.diff(piecesOf(before), piecesOf(after), { maxEdits })
  return edits.map(({ _tag, items }) => ({
    kind: _tag === "Equal" ? "same" : _tag === "Delete" ? "stored" : "asked",
    text: items.join("")
  }))
}

interface Message {
  readonly role: string
  readonly text: string
}

/** The messages of a chat in JSON, an array or an object with `messages`; `undefined` for any other text. */
const messagesIn = (prompt: string): ReadonlyArray<Message> | undefined => {
  if (!/^\s*[[{]/.test(prompt)) return undefined
  const parsed = parseJson(prompt)
  const messages: unknown = Predicate.hasProperty(parsed, "messages") ? parsed.messages : parsed
  if (!Array.isArray(messages) || messages.length === 0) return undefined
  const read = messages.flatMap((message: unknown): ReadonlyArray<Message> => {
    if (!Predicate.hasProperty(message, "role") || typeof message.role !== "string") return []
    const { content, role, ...rest }: { readonly role: string; readonly content?: unknown } = {
      ...message,
      role: message.role
    }
    const text = typeof content === "string"
      ? content
      : content === null || content === undefined
      ? ""
      : JSON.stringify(content, undefined, 1)
    const others = Object.keys(rest).length === 0 ? "" : JSON.stringify(rest, undefined, 1)
    return [{ role, text: text === "" || others === "" ? text + others : `${text}\n${others}` }]
  })
  return read.length === messages.length ? read : undefined
}
