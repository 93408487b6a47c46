import type { Json } from "@llm-cache/core/Identity"
import type { DatabaseSync } from "node:sqlite"
import { damaged, type Item, skipped } from "./item.ts"
import { asCount, asNumber, asObject, asString, asTime, compact, type JsonObject, parseJson } from "./json.ts"

type Row = { readonly [column: string]: unknown }

/**
 * The responses in `logs.db` of `llm`: https://llm.datasette.io/en/stable/logging.html. Versions from 0.32 on keep messages
 * apart, as nodes of a tree (`llm/message_store.py`).
 */
export function* llmLogItems(db: DatabaseSync): Generator<Item> {
  const tables = new Set(
    db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all().map(({ name }) => name)
  )
  const seen = new Set<unknown>()
  if (tables.has("turns") && tables.has("message_nodes")) {
    for (const row of db.prepare("SELECT * FROM turns ORDER BY rowid").iterate()) {
      seen.add(row["id"])
      yield turnItem(row, (node) => chainOf(db, node))
    }
  }
  if (!tables.has("responses")) return
  const extras = [
    ["prompt_attachments", "response_id", "it has attachments"],
    ["prompt_fragments", "response_id", "it has fragments"],
    ["system_fragments", "response_id", "it has fragments"],
    ["tool_responses", "response_id", "it has tools"]
  ].filter(([table]) => tables.has(table))
    .map(([table, column, reason]) =>
      [db.prepare(`SELECT 1 FROM "${table}" WHERE "${column}" = ? LIMIT 1`), reason!] as const
    )
  for (const row of db.prepare("SELECT * FROM responses ORDER BY rowid").iterate()) {
    const id = row["id"]
    if (seen.has(id)) continue
    const extra = extras.find(([statement]) => statement.get(id as never) !== undefined)
    yield extra === undefined ? responseItem(row, isFirst(db, row)) : skipped(whereOf(row), extra[1])
  }
}

const whereOf = ({ id }: Row): string => `response ${String(id)}`

const isFirst = (db: DatabaseSync, { conversation_id, id }: Row): boolean =>
  conversation_id === null || conversation_id === undefined ||
  db.prepare("SELECT id FROM responses WHERE conversation_id = ? ORDER BY rowid LIMIT 1")
      .get(conversation_id as never)?.["id"] === id

const responseItem = (row: Row, isFirst: boolean): Item => {
  const where = whereOf(row)
  if (!isFirst) return skipped(where, "its messages are a conversation")
  if (asString(row["schema_id"]) !== undefined) return skipped(where, "it has a schema")
  const [prompt, text] = [asString(row["prompt"]), asString(row["response"])]
  if (prompt === undefined || text === undefined) return damaged(where, "it has no prompt or no response")
  return recorded(row, prompt, asString(row["system"]) || undefined, text)
}

const recorded = (row: Row, prompt: string, system: string | undefined, text: string): Item => {
  const where = whereOf(row)
  const model = asString(row["model"]) ?? ""
  const { temperature, ...parameters } = withoutNull(asObject(parseJson(asString(row["options_json"]) ?? "{}")))
  const elapsed = asNumber(row["duration_ms"])
  const started = asTime(row["datetime_utc"])
  return {
    kind: "recorded",
    where,
    identity: {
      model,
      temperature: asNumber(temperature),
      parameters: parameters as { readonly [name: string]: Json },
      system
    },
    prompt,
    name: String(row["id"]),
    samples: [{
      text,
      metadata: compact({
        model: asString(row["resolved_model"]),
        createdAt: started === undefined ? undefined : Math.round(started + (elapsed ?? 0)),
        elapsed,
        inputTokens: asCount(row["input_tokens"]),
        outputTokens: asCount(row["output_tokens"])
      })
    }]
  }
}

const withoutNull = (fields: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))

interface Message {
  readonly role: unknown
  readonly parts: ReadonlyArray<unknown>
}

const turnItem = (row: Row, chainOf: (node: unknown) => ReadonlyArray<Message>): Item => {
  const where = whereOf(row)
  if (asString(row["schema_id"]) !== undefined) return skipped(where, "it has a schema")
  const input = chainOf(row["input_node_id"])
  const output = chainOf(row["output_node_id"]).slice(input.length)
  const roles = input.map(({ role }) => role).join(", ")
  if (roles !== "user" && roles !== "system, user") return skipped(where, "its messages are a conversation")
  const texts = [...input, ...output].map(textOf)
  if (output.length !== 1 || texts.includes(undefined)) return skipped(where, "it has attachments or tools")
  const [text, prompt, system] = texts.toReversed()
  return recorded(row, prompt!, system, text!)
}

const textOf = ({ parts, role }: Message): string | undefined => {
  const others = parts.filter((part) => !(role === "assistant" && asObject(part)["type"] === "reasoning"))
  const [part] = others
  return others.length === 1 && asObject(part)["type"] === "text" ? asString(asObject(part)["text"]) : undefined
}

const chainOf = (db: DatabaseSync, node: unknown): ReadonlyArray<Message> => {
  const messages: Array<Message> = []
  const statement = db.prepare(
    "SELECT parent_id, role, parts FROM message_nodes n JOIN messages m ON m.id = n.message_id WHERE n.id = ?"
  )
  for (let at = node; at !== null && at !== undefined && messages.length < longest;) {
    const row: Row | undefined = statement.get(at as never)
    if (row === undefined) break
    const parts = parseJson(asString(row["parts"]) ?? "")
    messages.push({ role: row["role"], parts: Array.isArray(parts) ? parts : [] })
    at = row["parent_id"]
  }
  return messages.toReversed()
}

/** A first answer has three messages at most: any more make a conversation, and the others need not be read. */
const longest = 4

export const isLlmLog = (tables: ReadonlySet<unknown>): boolean => tables.has("responses") || tables.has("turns")
