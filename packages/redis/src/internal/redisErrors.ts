import { type Key, SampleError } from "@llm-cache/core"
import type { RedisError } from "effect/persistence/Redis"
import { otherFormat } from "./scripts.ts"

// What a server answers, by the code that its answer starts with (or has in it, when a script got it from Redis 6).
const answers: ReadonlyArray<readonly [pattern: RegExp, advice: string]> = [
  [
    /\bOOM\b/,
    "Redis has used up its `maxmemory`: raise it, or remove samples. What was bought is kept in memory, and the next draw stores it"
  ],
  [
    /\bMISCONF\b/,
    "Redis cannot write its data to its disk: make room there, and see to its log. What was bought is kept in memory, and the next draw stores it"
  ],
  [/\bREADONLY\b/, "This is a replica: connect to the primary, or use replication, which writes nothing"],
  [
    /\bWRONGPASS\b|\bNOAUTH\b/,
    "Put the right user and password into the URL: redis://user:password@host:6379, with what is no letter or digit percent-encoded"
  ],
  [
    /\bNOPERM\b|ACL failure|can't run this command|can't access at least one of the keys/,
    "Give the user the right to it by ACL SETUSER (`+@read +@write +@scripting` and the keys of the prefix), or use replication, which needs `+@read` alone"
  ],
  [/\bLOADING\b/, "Redis is reading its data after a start: try again when it is ready"],
  [/\bBUSY\b/, "A script of someone else keeps Redis busy: try again, or end it with SCRIPT KILL"],
  [/\bNOSCRIPT\b/, "Someone removes the scripts of Redis again and again: try again"],
  [/\bCROSSSLOT\b/, "On a Redis Cluster, use a prefix with a hash tag, such as {llm-cache}"],
  [
    /\bMOVED\b|\bASK\b|\bCLUSTERDOWN\b|\bMASTERDOWN\b|\bTRYAGAIN\b/,
    "The key is on another node: connect to a Redis that is no cluster, or with a client that follows its nodes"
  ],
  [/\bERR max number of clients\b/, "Redis takes no more connections: close some, or raise its `maxclients`"],
  [
    /unknown command/,
    "This Redis does not have the command, or its administrator has renamed it: version 6 or later is needed"
  ]
]

// What the client or the system says. What was not answered may have been done.
const connections: ReadonlyArray<readonly [pattern: RegExp, advice: string]> = [
  [/ECONNREFUSED|ENOENT/, "Nothing listens there: start Redis, or mend the URL"],
  [/ENOTFOUND|EAI_AGAIN/, "The name of the host is not known: mend the URL"],
  [
    /certificate|ERR_TLS|ERR_SSL|EPROTO/i,
    "The encrypted connection was refused: rediss:// is with TLS, redis:// without"
  ],
  [
    /client is closed|Disconnects client/i,
    "The connection was closed with its scope: use the store within the scope of its layer"
  ]
]

const lost = "See to Redis and the way to it, and try again: the connection is made anew"

// What an error of the client says of itself, for some say nothing.
const messageOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const { code = "Redis could not be reached in time" } = cause as NodeJS.ErrnoException
  // without the place in a script of ours, and the full stop
  return (cause.message || code).replace(/\.?( script: \w+, on @user_script:\d+)?\.?$/, "")
}

/** What an error says. */
export type Fields = Pick<SampleError.StoreError, "kind" | "description" | "cause">

/** What Redis, its client or the system said, and what to do about it. */
export const explain = ({ cause }: RedisError): Fields => {
  const message = messageOf(cause)
  if (message.startsWith(otherFormat)) return { ...newer(message.slice(otherFormat.length + 1)), cause }
  if (/\bWRONGTYPE\b/.test(message)) {
    return {
      kind: "Damaged",
      description: `${message}. Something else wrote a key of this prefix: use another prefix, or delete that key`,
      cause
    }
  }
  const find = (known: typeof answers) => known.find(([pattern]) => pattern.test(message))?.[1]
  return {
    kind: "Unavailable",
    description: `${message}. ${find(answers) ?? find(connections) ?? lost}`,
    cause
  }
}

/** What is wrong with a place that was made by another version of the library. */
export const newer = (found: string): Fields => ({
  kind: "Unavailable",
  description: `the samples are in format ${found}, which this version of the library does not know: update the library`
})

/** Whether it is the server that refused a command, and not the way to it that failed. */
export const isRefusal = ({ cause }: RedisError): boolean => answers.some(([pattern]) => pattern.test(messageOf(cause)))

/** The `StoreError` of an operation. */
export const storeError = (
  store: string,
  operation: SampleError.StoreError["operation"],
  fields: Fields,
  key?: Key.Key,
  position?: number
): SampleError.StoreError => new SampleError.StoreError({ store, operation, key, position, ...fields })
