import * as Prompt from "effect/ai/Prompt"

/**
 * A prompt with the results of tools in the order of their calls. Tools that run at once finish in any order, and the model
 * is to be asked the same in every run. A prompt in order comes back unchanged.
 */
export const inOrderOfCalls = (prompt: Prompt.Prompt): Prompt.Prompt => {
  let calls = new Map<string, number>()
  let isChanged = false
  const messages = prompt.content.map((message) => {
    if (message.role === "assistant") {
      calls = new Map()
      for (const part of message.content) {
        if (part.type === "tool-call" && !calls.has(part.id)) calls.set(part.id, calls.size)
      }
      return message
    }
    if (message.role !== "tool") return message
    const content = sorted(message.content, calls)
    if (content === message.content) return message
    isChanged = true
    return Prompt.makeMessage("tool", { content, options: message.options })
  })
  return isChanged ? Prompt.fromMessages(messages) : prompt
}

const sorted = (
  content: ReadonlyArray<Prompt.ToolMessagePart>,
  calls: ReadonlyMap<string, number>
): ReadonlyArray<Prompt.ToolMessagePart> => {
  const place = (part: Prompt.ToolMessagePart) =>
    part.type === "tool-result" ? calls.get(part.id) ?? calls.size : calls.size + 1
  const isSorted = content.every((part, i) => i === 0 || place(content[i - 1]!) <= place(part))
  return isSorted ? content : [...content].sort((a, b) => place(a) - place(b))
}
