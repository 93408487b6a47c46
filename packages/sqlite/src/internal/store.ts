import type { Identity } from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { Key } from "@llm-cache/core/Key"
import type { Drawn } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { damagedKey, storeError } from "@llm-cache/core/StoreFault"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { SQLInputValue } from "node:sqlite"
import { busyTimeout, pause } from "./busy.ts"
import { Connections } from "./connection.ts"
import { fail, isBusy } from "./errors.ts"
import { makeGroupCommit } from "./groupCommit.ts"
import { countIdentities } from "./identities.ts"
import { makeLeases } from "./leases.ts"
import { decodeKey, digestOfIdentity, digestOfKey, encodeKey, rangeOfHash, type Row } from "./rows.ts"
import * as Samples from "./samples.ts"
import type { ReadStatements, Statements } from "./schema.ts"

/** How many keys one statement lists: prompts may be long. */
const pageSize = 32

export interface Options {
  readonly file: string
  readonly durability?: "power" | "process" | undefined
  readonly isReadOnly?: boolean | undefined
}

/** Opens a file as a store, without writing to it. */
export const openStore = Effect.fnUntraced(function*(
  { durability = "power", file, isReadOnly = false }: Options
): Effect.fn.Return<SampleStore.Store, InvalidInput | StoreError, Scope.Scope> {
  const invalid = (description: string) => new InvalidInput({ module: "SqliteStore.make", description })
  if (typeof file !== "string" || file === "" || file.includes("\0")) {
    return yield* invalid("`file` is the name of a file: give a text that is not empty and has no NUL")
  }
  if (file.startsWith(":")) {
    return yield* invalid(
      `\`file\` ${JSON.stringify(file)} does not name a file: for a store in memory use \`MemoryStore\``
    )
  }
  if (durability !== "power" && durability !== "process") {
    return yield* invalid(`\`durability\` ${JSON.stringify(durability)} is unknown: give "power" or "process"`)
  }
  const { close, store } = yield* attempt(`SQLite ${file}`, "open", () => {
    const path = Path.resolve(file.replace(/^~(?=$|[/\\])/, () => Os.homedir()))
    const connections = new Connections(path, durability === "power", isReadOnly)
    connections.read()
    return makeStore(path, connections)
  })
  yield* Effect.addFinalizer(() => close)
  return store
})

// While another process holds the file, it tries again.
const attempt = <A>(
  store: string,
  operation: StoreError["operation"],
  evaluate: () => A,
  key?: Key,
  position?: number
): Effect.Effect<A, StoreError> => {
  const since = (start: number | undefined): Effect.Effect<A, StoreError> =>
    Effect.suspend(() => {
      try {
        return Effect.succeed(evaluate())
      } catch (cause) {
        const now = performance.now()
        return isBusy(cause) && now - (start ?? now) < busyTimeout
          ? Effect.andThen(pause, since(start ?? now))
          : fail(store, operation, cause, key, position)
      }
    })
  return since(undefined)
}

// SQLite runs synchronously: reading a sample takes less time than asking a thread to read it.
const makeStore = (path: string, connections: Connections) => {
  const name = `SQLite ${path}`
  const read = <A>(
    operation: StoreError["operation"],
    ifMissing: A,
    evaluate: (statements: ReadStatements) => A,
    key?: Key,
    position?: number
  ) => attempt(name, operation, () => connections.use(evaluate) ?? ifMissing, key, position)

  const digests = new WeakMap<Key, Buffer>()
  const identities = new WeakMap<Identity, Buffer>()
  const digestOf = (key: Key): Buffer => {
    let digest = digests.get(key)
    if (digest === undefined) {
      let prefix = identities.get(key.identity)
      if (prefix === undefined) {
        // A copy of its own: a piece of Node's pool would keep the whole as long as the identity lives.
        identities.set(key.identity, prefix = Buffer.from(Uint8Array.from(digestOfIdentity(key.identity)).buffer))
      }
      digests.set(key, digest = digestOfKey(key, prefix))
    }
    return digest
  }

  const putKey = (statements: Statements, key: Key): number => {
    const put = () => statements.putKey.get(...encodeKey(key, digestOf(key))) as Row | undefined
    let row = put()
    if (row === undefined) {
      statements.putIdentity.run(key.identity.id)
      row = put()!
    }
    return row[0] as number
  }

  const { end, put } = makeGroupCommit({
    commit: (puts) =>
      connections.transact((statements) =>
        puts.map(({ entries, ifTaken, key }) => {
          const number = Samples.numberOf(statements, digestOf(key)) ?? putKey(statements, key)
          return entries.map((entry) => Samples.place(statements, number, entry, ifTaken))
        })
      ),
    failed: (cause, { entries, key }) => fail(name, "put", cause, key, entries[0].position)
  })

  const toListed = (row: Row): Result.Result<SampleStore.Listed, StoreError> => {
    const listed = decodeKey(row)
    return listed !== undefined
      ? Result.succeed(listed)
      : Result.fail(storeError(name, "keys", damagedKey(`the row in \`keys\` with the id ${String(row[0])}`)))
  }

  const list = <A>(
    first: A,
    page: (statements: ReadStatements, last: A) => Iterable<unknown>,
    cursor: (row: Row) => A
  ) =>
    Stream.paginate(first, (last) =>
      read("keys", [[], Option.none<A>()] as const, (statements) => {
        const rows = [...Samples.arrays(page(statements, last))]
        return [
          rows.filter((row) => row[5] !== 0).map(toListed),
          rows.length < pageSize ? Option.none() : Option.some(cursor(rows.at(-1)!))
        ] as const
      }))

  const getMany = (key: Key, from: number, count: number) => (statements: ReadStatements): ReadonlyArray<Drawn> =>
    Samples.read(statements, digestOf(key), from, count)

  const store = SampleStore.make({
    id: `sqlite ${realPath(path)}`,
    describe: () => name,
    getMany: (key, from, count) => read("get", [], getMany(key, from, count), key, from),
    peek: (key, from, count) => {
      try {
        const statements = connections.read()
        return statements === undefined ? [] : getMany(key, from, count)(statements)
      } catch {
        // `getMany` meets the same fault, and reports it.
        return []
      }
    },
    positions: (key) => read("positions", [], (statements) => Samples.positions(statements, digestOf(key)), key),
    prepare: (key) => attempt(name, "prepare", () => connections.prepare(), key),
    put,
    remove: (key, positions) =>
      attempt(
        name,
        "remove",
        () =>
          connections.change((statements) => {
            for (const position of positions) Samples.remove(statements, digestOf(key), position)
          }),
        key,
        positions[0]
      ),
    keys: ({ identity, promptHash } = {}) => {
      if (promptHash !== undefined) {
        const [first, end] = rangeOfHash(promptHash)
        return list<readonly [SQLInputValue, SQLInputValue, SQLInputValue]>(
          [first, 0, 0],
          ({ keysOfPrompt }, last) => keysOfPrompt.all(...last, end, identity?.id ?? null, pageSize),
          (row) => [row[6] as Buffer, row[7] as number, row[0] as number]
        )
      }
      if (identity === undefined) {
        return list<number>(0, ({ keys }, last) => keys.all(last, pageSize), ([id]) => id as number)
      }
      const prefix = digestOfIdentity(identity)
      const end = Buffer.alloc(16, 0xff)
      prefix.copy(end)
      return list(
        prefix,
        ({ keysOfIdentity }, last) => keysOfIdentity.all(last, end, identity.id, pageSize),
        (row) => row[4] as Buffer
      )
    },
    identities: Stream.fromIterableEffect(attempt(name, "keys", () => countIdentities(name, connections))),
    leases: makeLeases(
      connections,
      (evaluate, key, position) => attempt(name, "lease", evaluate, key, position),
      digestOf
    )
  })
  return {
    store,
    close: Effect.andThen(end, Effect.sync(() => connections.close()))
  }
}

// The same before and after the file is created.
const realPath = (path: string): string => {
  try {
    return Fs.realpathSync(path)
  } catch {
    const above = Path.dirname(path)
    return above === path ? path : Path.join(realPath(above), Path.basename(path))
  }
}
