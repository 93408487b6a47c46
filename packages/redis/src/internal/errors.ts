import { advice, type Fault, laterVersion, unavailable } from "@llm-cache/core/StoreFault"
import type { RedisError } from "effect/persistence/Redis"
import { format, otherFormat } from "./schema.ts"

// Answers of a server, by the code at their start (or within, if a script got it from Redis 6).
const answers: ReadonlyArray<readonly [pattern: RegExp, advice: string]> = [
  [/\bOOM\b/, `Redis has used up its \`maxmemory\`: raise it, or remove samples. ${advice.kept}`],
  [/\bMISCONF\b/, `Redis cannot write its data to its disk: make room there, and check its log. ${advice.kept}`],
  [/\bREADONLY\b/, advice.readOnly],
  [
    /\bWRONGPASS\b|\bNOAUTH\b/,
    `${advice.login} in the URL (redis://user:password@host:6379, with special characters percent-encoded)`
  ],
  [
    /\bNOPERM\b|ACL failure|can't run this command|can't access at least one of the keys/,
    `${
      advice.denied(
        "Give the user the right to it by ACL SETUSER (`+@read +@write +@scripting` and the keys of the prefix)"
      )
    } and needs \`+@read\` alone`
  ],
  [/\bLOADING\b/, advice.starting],
  [/\bBUSY\b/, "A script of another client keeps Redis busy: try again, or end it with SCRIPT KILL"],
  [/\bNOSCRIPT\b/, "Another client removes the scripts of Redis again and again: try again"],
  [/\bCROSSSLOT\b/, "On a Redis Cluster, use a prefix with a hash tag, such as {llm-cache}"],
  [
    /\bMOVED\b|\bASK\b|\bCLUSTERDOWN\b|\bMASTERDOWN\b|\bTRYAGAIN\b/,
    "Another node has the key: connect to a single Redis, or with a client for clusters"
  ],
  [/\bERR max number of clients\b/, advice.tooManyConnections],
  [
    /unknown command/,
    "This Redis does not have the command, or its administrator has renamed it: use version 6 or later"
  ]
]

// Messages of the client or the system. Redis may have run a command without an answer.
const connections: ReadonlyArray<readonly [pattern: RegExp, advice: string]> = [
  [/ECONNREFUSED|ENOENT/, "No server listens there: start Redis, or correct the URL"],
  [/ENOTFOUND|EAI_AGAIN/, "The name of the host is unknown: correct the URL"],
  [
    /certificate|ERR_TLS|ERR_SSL|EPROTO/i,
    "The encrypted connection was refused: rediss:// is with TLS, redis:// without"
  ],
  [
    /client is closed|Disconnects client/i,
    "The connection was closed with its scope: use the store within the scope of its layer"
  ]
]

/** The fault of an error of Redis, its client or the system. */
export const explain = ({ cause }: RedisError): Fault => {
  const message = messageOf(cause)
  if (message.startsWith(otherFormat)) return laterVersion(message.slice(otherFormat.length + 1), format)
  if (/\bWRONGTYPE\b/.test(message)) {
    return {
      kind: "Damaged",
      description: `${message}. Another program wrote a key of this prefix: use another prefix, or delete that key`,
      cause
    }
  }
  const find = (known: typeof answers) => known.find(([pattern]) => pattern.test(message))?.[1]
  return unavailable(message, find(answers) ?? find(connections) ?? advice.unreachable, cause)
}

/** Whether the server refused a command, and the connection works. */
export const isServerError = ({ cause }: RedisError): boolean =>
  answers.some(([pattern]) => pattern.test(messageOf(cause)))

// Some errors of the client have no message.
const messageOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const { code = "Redis could not be reached in time" } = cause as NodeJS.ErrnoException
  // Without the line of a script of this library, and without the full stop.
  return (cause.message || code).replace(/\.?( script: \w+, on @user_script:\d+)?\.?$/, "")
}
