import * as DirectoryStore from "@llm-cache/core/DirectoryStore"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { CacheError, UsageError } from "../errors.ts"

export type Access = "look" | "read" | "write"

/**
 * Opens the cache that an argument names, until the scope closes.
 *
 * **Details**
 *
 * `"read"` fails if there is no such cache, and creates nothing. `"look"` also leaves the requests of killed processes in a directory
 * as they are, and no further files beside a file of SQLite. `"write"` creates the cache with its first sample. The part of a URL behind `#` is the prefix of the tables or keys.
 */
export const openCache = (
  name: string,
  access: Access
): Effect.Effect<Store, UsageError | CacheError | InvalidInput | StoreError, Scope.Scope> =>
  Effect.suspend(() => {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(name)?.[1]?.toLowerCase()
    switch (scheme) {
      case undefined:
        return openPath(name, access)
      case "postgres":
      case "postgresql":
        return Effect.flatMap(
          load("PostgreSQL", "@llm-cache/sql", () => import("@llm-cache/sql/PgStore")),
          ({ make }) => make(serverOptions(name))
        )
      case "redis":
      case "rediss":
      case "unix":
        return Effect.flatMap(
          load("Redis", "@llm-cache/redis", () => import("@llm-cache/redis/RedisStore")),
          ({ make }) => make(serverOptions(name))
        )
      default:
        return new UsageError({
          message: `${scheme}:// names no kind of cache: give a directory, a file x.db, postgres://…, or redis://…`
        })
    }
  })

/** Opens two caches, the first of them for reading. They have to be different ones. */
export const openTwo = (first: string, second: string, access: "read" | "write") =>
  Effect.gen(function*() {
    const one = yield* openCache(first, "read")
    const other = yield* openCache(second, access)
    if (one.id === other.id) return yield* new UsageError({ message: `${first} and ${second} are the same cache` })
    return [one, other] as const
  })

const openPath = (
  name: string,
  access: Access
): Effect.Effect<Store, UsageError | CacheError | InvalidInput | StoreError, Scope.Scope> => {
  if (name === "") return new UsageError({ message: "the name of the cache is empty" })
  const path = name.replace(/^~(?=$|[/\\])/, () => Os.homedir())
  const stats = statOf(path)
  if (access !== "write" && stats === undefined) {
    return new CacheError({
      message: `there is no cache at ${name}: name one with --cache, or set LLM_CACHE_DIRECTORY`
    })
  }
  return stats?.isFile() || stats === undefined && /\.(db|sqlite3?)$/i.test(name)
    ? Effect.flatMap(
      load("SQLite", "@llm-cache/sqlite", () => import("@llm-cache/sqlite/SqliteStore")),
      ({ make }) => make({ file: path, isReadOnly: access === "look" })
    )
    : DirectoryStore.make(path, { isReadOnly: access === "look" })
}

const statOf = (path: string): Fs.Stats | undefined => {
  try {
    return Fs.statSync(path, { throwIfNoEntry: false })
  } catch {
    // The store explains the fault.
    return undefined
  }
}

const serverOptions = (name: string) => {
  const [url, prefix] = name.split(/#(.*)/s) as [string, string | undefined]
  return { url: Redacted.make(url), prefix: prefix || undefined }
}

const load = <A>(kind: string, module: string, load: () => Promise<A>): Effect.Effect<A, CacheError> =>
  Effect.catchDefect(Effect.promise(load), (cause) =>
    isMissing(cause, module)
      ? new CacheError({ message: `a cache in ${kind} needs the package ${module}: npm install ${module}` })
      : Effect.die(cause))

const isMissing = (cause: unknown, module: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND" && cause.message.includes(module)
