import { type Item, type ProtocolName, skipped } from "./item.ts"
import { parseJson } from "./json.ts"

/** A request and its answer as a recorder of HTTP has them. Headers are never read: they have the secrets. */
export interface HttpExchange {
  readonly where: string
  readonly url: string
  readonly request: string | undefined
  readonly status: number
  readonly answer: string | Uint8Array<ArrayBuffer> | undefined
  readonly encoding?: string | undefined
  readonly createdAt?: number | undefined
  readonly elapsed?: number | undefined
}

/** The exchange with a model, or why it is none. */
export const httpItem = ({ answer, request, url, where, ...others }: HttpExchange): Item => {
  const path = pathOf(url)
  const protocol = protocols.find(([end]) => path.endsWith(end))?.[1]
  if (protocol === undefined) {
    return skipped(
      where,
      otherProtocols.test(path)
        ? `requests to ${path.match(otherProtocols)![0]} have no plain text`
        : "it is no request to a model"
    )
  }
  if (request === undefined) return skipped(where, "its request has no body, as after a preflight or a redirect")
  if (answer === undefined) return skipped(where, "its answer was not recorded")
  return { kind: "exchange", where, protocol, request: parseJson(request), answer, ...others }
}

const protocols: ReadonlyArray<readonly [string, ProtocolName]> = [
  ["/chat/completions", "chat"],
  ["/v1/messages", "messages"],
  ["/api/chat", "ollama"]
]

const otherProtocols = /\/(?:responses|completions|embeddings|api\/generate|v1\/messages\/\w+)$/

const pathOf = (url: string): string => {
  try {
    return new URL(url).pathname.replace(/\/$/, "")
  } catch {
    return ""
  }
}
