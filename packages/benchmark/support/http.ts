/**
 * Servers in processes of their own, and the clients of rows that send requests.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Path from "node:path"
import { Pool } from "undici"
import type { Setting } from "../harness/row.ts"

export interface Server {
  readonly url: string
  readonly process: ChildProcess
}

/** Starts a program of this folder, whose first line of output is its URL. It ends with the row. */
export const startServer = async (
  { onEnd }: Setting,
  file: string,
  ...args: ReadonlyArray<string>
): Promise<Server> => {
  const server = spawn(process.execPath, ["--expose-gc", Path.join(import.meta.dirname, file), ...args], {
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  onEnd(() => server.kill())
  const [line] = await once(server.stdout!, "data") as [Buffer]
  return { url: String(line).trim(), process: server }
}

/** The pool of connections to a server. It ends with the row. */
export const poolOf = ({ onEnd }: Setting, url: string, connections: number): Pool => {
  const pool = new Pool(url, { connections })
  onEnd(() => pool.destroy())
  return pool
}

export const requestOf = (prompt: string) => ({
  model: "bench",
  temperature: 1,
  n: 1,
  messages: [{ role: "user" as const, content: prompt }]
})

/** Sends a chat completion, and returns the response. */
export const post = (pool: Pool, body: object, place = "", headers: object = {}) =>
  pool.request({
    path: `${place}/v1/chat/completions`,
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json",
      authorization: "Bearer none",
      ...headers
    },
    body: JSON.stringify(body)
  })

export interface Completion {
  readonly choices: ReadonlyArray<{ readonly message: { readonly content: string | null } }>
}

export const contentOf = ({ choices }: Completion): string => choices[0]!.message.content!

/** Asks for the sample of a prompt. */
export const viaPool = (pool: Pool, place?: string, headers?: object) => async (prompt: string): Promise<string> => {
  const { body } = await post(pool, requestOf(prompt), place, headers)
  return contentOf(await body.json() as Completion)
}

/** Asks for all prompts, some at once, and adds up the characters. */
export const askAll = async (
  prompts: ReadonlyArray<string>,
  concurrency: number,
  ask: (prompt: string) => Promise<string>
): Promise<number> => {
  let characters = 0
  let next = 0
  const worker = async () => {
    while (next < prompts.length) {
      const { length } = await ask(prompts[next++]!)
      characters += length
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return characters
}
