import type * as Response from "effect/ai/Response"

type Metadata = Response.ProviderMetadata | undefined

/** A text or a reasoning that is being put together. */
interface Block {
  readonly index: number
  readonly type: "text" | "reasoning"
  text: string
  metadata: Metadata
}

/**
 * The parts of a stream, put together as `Prompt.fromResponseParts` does it: a text that has no end is kept, and a reasoning
 * without an end is not, because it may lack its signature.
 */
export const toParts = (stream: ReadonlyArray<Response.StreamPartEncoded>): Array<Response.PartEncoded> => {
  const parts: Array<Response.PartEncoded | undefined> = []
  const open = new Map<string, Block>()
  const close = ({ index, metadata, text, type }: Block) => {
    parts[index] = metadata === undefined ? { type, text } : { type, text, metadata }
  }
  for (const part of stream) {
    const [, type, step] = /^(text|reasoning)-(start|delta|end)$/.exec(part.type) ?? []
    if (type === undefined) {
      if (isWhole(part)) parts.push(part)
      continue
    }
    const { delta = "", id, metadata } = part as BlockPart
    const name = `${type} ${id}`
    if (step === "start") {
      open.set(name, { index: parts.push(undefined) - 1, type: type as Block["type"], text: "", metadata })
      continue
    }
    const block = open.get(name)
    if (block === undefined) continue
    block.text += delta
    block.metadata = merged(block.metadata, metadata)
    if (step !== "end") continue
    close(block)
    open.delete(name)
  }
  for (const block of open.values()) if (block.type === "text" && block.text !== "") close(block)
  return parts.filter((part) => part !== undefined)
}

/** A part of a text or of a reasoning. */
interface BlockPart {
  readonly id: string
  readonly delta?: string | undefined
  readonly metadata?: Metadata
}

const isWhole = (part: Response.StreamPartEncoded): part is Response.StreamPartEncoded & Response.PartEncoded =>
  part.type !== "error" && !part.type.startsWith("tool-params-")

/** A whole answer as a stream: each text is one delta, and its metadata comes at its start. */
export const toStream = (parts: ReadonlyArray<Response.PartEncoded>): Array<Response.StreamPartEncoded> =>
  parts.flatMap((part, i): ReadonlyArray<Response.StreamPartEncoded> => {
    if (part.type !== "text" && part.type !== "reasoning") return [part]
    const id = String(i)
    return [
      { type: `${part.type}-start`, id, ...part.metadata === undefined ? {} : { metadata: part.metadata } },
      { type: `${part.type}-delta`, id, delta: part.text },
      { type: `${part.type}-end`, id }
    ]
  })

/** The metadata of each provider, with the later names over the earlier ones. */
const merged = (one: Metadata, other: Metadata): Metadata => {
  if (one === undefined || other === undefined) return one ?? other
  const all: Record<string, Response.ProviderMetadata[string]> = { ...one }
  for (const [provider, value] of Object.entries(other)) {
    const previous = all[provider]
    all[provider] = isObject(previous) && isObject(value) ? Object.assign({}, previous, value) : value
  }
  return all
}

const isObject = (value: unknown): value is { readonly [name: string]: Response.ProviderMetadata[string] } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
