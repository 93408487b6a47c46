import type { Json } from "@llm-cache/core/Identity"
import type { Sample } from "@llm-cache/core/Sample"
import { damaged, type Item, skipped } from "./item.ts"
import { asArray, asCount, asNumber, asObject, asString, asTime, compact, isObject, type JsonObject } from "./json.ts"
import { plainRequest } from "./plainRequest.ts"

/**
 * The calls of models in a sample of an Inspect log: https://inspect.aisi.org.uk/eval-logs.html. Long texts are
 * `attachments`, and messages are ranges of a pool (`log/_condense.py` and `log/_pool.py` of Inspect).
 */
export function* inspectItems(where: string, sample: unknown): Generator<Item> {
  const { attachments, call_pool, events, events_data, message_pool } = asObject(sample)
  const pools = asObject(events_data)
  const context: Context = {
    attachments: asObject(attachments),
    messages: asArray(message_pool ?? pools["messages"]),
    calls: asArray(call_pool ?? pools["calls"])
  }
  if (!Array.isArray(events)) {
    yield damaged(where, "its events were not recorded")
    return
  }
  let number = 0
  for (const event of modelEvents(events)) yield eventItem(`${where}, call ${++number}`, event, context)
}

interface Context {
  readonly attachments: JsonObject
  readonly messages: ReadonlyArray<unknown>
  readonly calls: ReadonlyArray<unknown>
}

// Logs of early versions have the events of tools and subtasks inside of them.
function* modelEvents(events: ReadonlyArray<unknown>, depth = 0): Generator<JsonObject> {
  for (const value of events) {
    const event = asObject(value)
    if (event["event"] === "model") yield event
    else if (Array.isArray(event["events"]) && depth < 100) yield* modelEvents(event["events"], depth + 1)
  }
}

const eventItem = (where: string, event: JsonObject, context: Context): Item => {
  const { cache, call, completed, config, error, input, input_refs, model, output, pending, timestamp, tools, uuid } =
    event
  if (pending === true || isThere(error)) return skipped(where, "it failed, or has no end")
  if (cache === "read") return skipped(where, "the cache of Inspect answered it: it is no draw")
  const name = asString(uuid)
  const createdAt = asTime(completed ?? timestamp)
  const seconds = asNumber(asObject(output)["time"])
  const elapsed = seconds === undefined ? undefined : Math.round(seconds * 1000)
  const { call_key, call_refs, request, response } = asObject(resolve(call, context))
  const protocol = Array.isArray(asObject(response)["choices"])
    ? "chat"
    : asObject(response)["type"] === "message"
    ? "messages"
    : undefined
  if (protocol !== undefined && isObject(request)) {
    const messages = call_refs === undefined || call_refs === null
      ? {}
      : { [asString(call_key) ?? "messages"]: resolve(slices(call_refs, context.calls), context) }
    return {
      kind: "exchange",
      where,
      protocol,
      request: { ...request, ...messages },
      status: 200,
      answer: JSON.stringify(response),
      name,
      createdAt,
      elapsed
    }
  }
  const messages = isThere(input_refs) ? slices(input_refs, context.messages) : asArray(input)
  // The first part of the name is Inspect's name of the provider.
  const plain = plainRequest("chat", {
    ...parametersOf(asObject(config)),
    model: asString(model)?.replace(/^[^/]*\/(?=.)/, ""),
    messages: asArray(resolve(messages, context)).map(asObject).map(({ content, role }) => ({ content, role })),
    tools
  })
  if (typeof plain === "string") return skipped(where, plain)
  const { prompt, ...identity } = plain
  const samples = samplesOf(asObject(resolve(output, context)))
  return samples === undefined
    ? damaged(where, "its output has no texts")
    : {
      kind: "recorded",
      where,
      identity,
      prompt,
      name,
      samples: samples.map((sample) => ({ ...sample, metadata: compact({ ...sample.metadata, createdAt, elapsed }) }))
    }
}

const isThere = (value: unknown): boolean => value !== undefined && value !== null

const slices = (refs: unknown, pool: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  asArray(refs).flatMap((range) => {
    const [start, end] = asArray(range).map(asCount)
    return start === undefined || end === undefined ? [] : pool.slice(start, end)
  })

const resolve = (value: unknown, context: Context): unknown => {
  if (typeof value === "string") {
    const [, name] = /^(?:attachment|tc):\/\/(.*)$/s.exec(value) ?? []
    return name === undefined ? value : context.attachments[name] ?? value
  }
  if (Array.isArray(value)) return value.map((item) => resolve(item, context))
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, field]) => [name, resolve(field, context)]))
    : value
}

/** Settings of Inspect that do not change the samples: https://inspect.aisi.org.uk/reference/inspect_ai.model.html */
const outsideOfKey = new Set([
  "max_retries",
  "timeout",
  "attempt_timeout",
  "max_connections",
  "adaptive_connections",
  "system_message",
  "num_choices",
  "cache",
  "cache_prompt",
  "batch",
  "internal_tools",
  "max_tool_output"
])

const parametersOf = (config: JsonObject): { readonly [name: string]: Json } =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([name, value]) => value !== null && !outsideOfKey.has(name))
      .map(([name, value]) => [name === "stop_seqs" ? "stop" : name, value as Json])
  )

const samplesOf = ({ choices, model, usage }: JsonObject): ReadonlyArray<Sample> | undefined => {
  const { input_tokens, output_tokens } = asObject(usage)
  const samples = asArray(choices).map((value): Sample | undefined => {
    const { message, stop_reason } = asObject(value)
    const { content } = asObject(message)
    const parts = asArray(content).map(asObject)
    const text = asString(content) ?? (Array.isArray(content) ? joined(parts, "text") : undefined)
    return text === undefined ? undefined : {
      text,
      metadata: compact({
        model: asString(model),
        finishReason: asString(stop_reason),
        reasoning: joined(parts, "reasoning") || undefined,
        inputTokens: asCount(input_tokens),
        outputTokens: asCount(output_tokens)
      })
    }
  })
  return samples.length > 0 && samples.every((sample) => sample !== undefined) ? samples : undefined
}

const joined = (parts: ReadonlyArray<JsonObject>, type: "text" | "reasoning"): string =>
  parts.filter((part) => part["type"] === type).map((part) => asString(part[type]) ?? "").join("")
