import { type Item, type ProtocolName, skipped } from "./item.ts"
import { parseJson } from "./json.ts"

/** A request and its answer as a recorder of HTTP has them. Of the headers, which have the secrets, two are read. */
export interface HttpExchange {
  readonly where: string
  readonly url: string
  readonly request: string | undefined
  readonly status: number
  readonly answer: string | Uint8Array<ArrayBuffer> | undefined
  readonly betas?: string | undefined
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
        ? `requests to ${path.match(otherProtocols)![0]} are not imported`
        : "it is no request to a model"
    )
  }
  if (request === undefined) return skipped(where, "its request has no body, as after a preflight or a redirect")
  if (answer === undefined) return skipped(where, "its answer was not recorded")
  return { kind: "exchange", where, protocol, request: parseJson(request), answer, ...others }
}

const protocols: ReadonlyArray<readonly [string, ProtocolName]> = [
  ["/chat/completions", "chat"],
  ["/responses", "responses"],
  ["/v1/messages", "messages"],
  ["/completions", "completions"],
  ["/api/chat", "ollama"]
]

const otherProtocols = /\/(?:embeddings|api\/generate|v1\/messages\/\w+)$/

const pathOf = (url: string): string => {
  try {
    return new URL(url).pathname.replace(/\/$/, "")
  } catch {
    return ""
  }
}
