import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { linesOf, type TextLine, wholeText } from "./files.ts"
import {
  type Damaged,
  damaged,
  type Exchange,
  ImportError,
  type Item,
  type ProtocolName,
  skipped,
  type Target
} from "./item.ts"
import { asArray, asNumber, asObject, asString, isObject, parseJson } from "./json.ts"

/** A request of a batch file. */
export interface BatchRequest {
  readonly protocol: ProtocolName
  readonly body: unknown
  readonly target?: Target | undefined
}

/**
 * The requests of a batch file by their `custom_id`: lines of OpenAI's (https://platform.openai.com/docs/api-reference/batch),
 * lines of Anthropic's, or the `requests` that are sent to Anthropic
 * (https://platform.claude.com/docs/en/build-with-claude/batch-processing).
 */
export const batchRequests = (file: string): Effect.Effect<ReadonlyMap<string, BatchRequest>, ImportError> =>
  Effect.gen(function*() {
    const requests = new Map<string, BatchRequest>()
    const add = (value: unknown, where: string) => {
      const { body, custom_id, params, url } = asObject(value)
      if (typeof custom_id !== "string" || (!isObject(body) && !isObject(params))) {
        return new ImportError({ file, description: `${where} is no request of a batch: give the file that was sent` })
      }
      if (requests.has(custom_id)) {
        return new ImportError({ file, description: `${where} has the \`custom_id\` of another request` })
      }
      const protocol = isObject(params) ? "messages" : "chat"
      if (protocol === "messages" || asString(url)?.endsWith("/chat/completions") !== false) {
        requests.set(custom_id, { protocol, body: body ?? params })
      } else requests.set(custom_id, { protocol, body: undefined })
      return undefined
    }
    const first = yield* Stream.runHead(linesOf(file))
    if (first._tag === "Some" && first.value.kind === "line" && parseJson(first.value.text) !== undefined) {
      const list = asObject(parseJson(first.value.text))["requests"]
      if (!Array.isArray(list)) {
        yield* Stream.runForEach(linesOf(file), (line) => {
          const problem = line.kind === "damaged"
            ? new ImportError({ file, description: `${line.where}: ${line.reason}` })
            : add(parseJson(line.text), line.where)
          return problem === undefined ? Effect.void : Effect.fail(problem)
        })
        return requests
      }
    }
    const list = asArray(asObject(parseJson(yield* wholeText(file)))["requests"])
    if (list.length === 0) {
      return yield* new ImportError({ file, description: "it has no requests of a batch: give the file that was sent" })
    }
    for (const [i, value] of list.entries()) {
      const problem = add(value, `request ${i + 1}`)
      if (problem !== undefined) return yield* problem
    }
    return requests
  })

/** The keys of the requests, as `batch make` writes them beside its file. */
export const batchTargets = (file: string): Effect.Effect<ReadonlyMap<string, Target>, ImportError> =>
  Effect.gen(function*() {
    const targets = new Map<string, Target>()
    yield* Stream.runForEach(linesOf(file), (line) => {
      const { custom_id, fork, model, parameters, temperature } = line.kind === "damaged"
        ? asObject(undefined)
        : asObject(parseJson(line.text))
      if (typeof custom_id !== "string" || typeof model !== "string" || !isObject(parameters)) {
        return new ImportError({ file, description: `${line.where} is no line of \`batch make\`: restore this file` })
      }
      targets.set(custom_id, {
        identity: { model, temperature: asNumber(temperature), parameters: parameters as never },
        path: asArray(fork).filter((name) => typeof name === "string")
      })
      return Effect.void
    })
    return targets
  })

/** The answers of a batch. An id that is answered is deleted from `open`. */
export const batchAnswers = (
  lines: Stream.Stream<TextLine | Damaged, ImportError>,
  requests: ReadonlyMap<string, BatchRequest>,
  open: Set<string>
): Stream.Stream<Item, ImportError> =>
  Stream.map(lines, (line): Item => {
    if (line.kind === "damaged") return line
    const value = parseJson(line.text)
    if (!isObject(value)) return damaged(line.where, "it is not a whole JSON object")
    const id = asString(value["custom_id"])
    if (id === undefined) return damaged(line.where, "it has no `custom_id`")
    const where = `${line.where} (${id})`
    const request = requests.get(id)
    if (request === undefined) return damaged(where, "no request has its `custom_id`: give the file that was sent")
    open.delete(id)
    if (request.body === undefined) return skipped(where, "it is no chat completion")
    const exchange = {
      kind: "exchange",
      where,
      protocol: request.protocol,
      request: request.body,
      target: request.target
    } as const
    return value["result"] === undefined
      ? openAiAnswer(exchange, value)
      : anthropicAnswer(exchange, asObject(value["result"]))
  })

type Asked = Pick<Exchange, "kind" | "where" | "protocol" | "request" | "target">

const openAiAnswer = (asked: Asked, { error, id, response }: { readonly [name: string]: unknown }): Item => {
  const { body, request_id, status_code } = asObject(response)
  const status = asNumber(status_code) ?? 0
  if (isObject(error) || !(status >= 200 && status < 300) || !isObject(body)) {
    return damaged(
      asked.where,
      `the provider answered with an error: ${messageOf(error) ?? messageOf(body) ?? `status ${status}`}`
    )
  }
  return { ...asked, status, answer: JSON.stringify(body), name: asString(request_id) ?? asString(id) }
}

const anthropicAnswer = (asked: Asked, { error, message, type }: { readonly [name: string]: unknown }): Item =>
  type === "succeeded" && isObject(message)
    ? { ...asked, status: 200, answer: JSON.stringify(message) }
    : damaged(
      asked.where,
      `the request ${asString(type) ?? "has no result"}${
        type === "errored" ? `: ${messageOf(error) ?? "no reason"}` : ""
      }`
    )

const messageOf = (value: unknown): string | undefined => {
  const { code, error, message } = asObject(value)
  return asString(message) ?? (isObject(error) ? messageOf(error) : asString(code))
}
