import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import type { Drawn } from "@llm-cache/core/Sample"
import { StoreError } from "@llm-cache/core/SampleError"
import type { Listed, Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Connections } from "./connection.ts"
import { makeGroupCommit, type Placed, type Put } from "./groupCommit.ts"
import { digestOf, isHeld, ofKey, prefixOf, type Row, toListed, toPrompt, toSample } from "./rows.ts"
import * as Samples from "./samples.ts"
import type { Statements } from "./schema.ts"
import { explain, Refusal } from "./sqliteError.ts"

/** How many keys are listed at a time: a prompt may be long. */
const page = 32

/** Opens a file as a store. Where it is read only, nothing is written, and a file that is missing is empty. */
export const makeSqlite = (file: string, isReadOnly: boolean): Effect.Effect<Store, StoreError, Scope.Scope> =>
  Effect.flatMap(
    attempt(`SQLite ${file}`, "open", () => {
      if (file === "" || file.includes("\0")) {
        throw new Refusal("the file's name is empty, or has a NUL character", "InvalidName")
      }
      if (file.startsWith(":")) {
        throw new Refusal("this is not the name of a file. In memory, use `SampleStore.layerMemory`", "InvalidName")
      }
      const path = Path.resolve(file.replace(/^~(?=$|[/\\])/, () => Os.homedir()))
      const connections = new Connections(path, isReadOnly)
      connections.read()
      return make(path, connections)
    }),
    ({ close, store }) => Effect.as(Effect.addFinalizer(() => Effect.sync(close)), store)
  )

const attempt = <A>(
  store: string,
  operation: StoreError["operation"],
  evaluate: () => A,
  key?: Key,
  position?: number
): Effect.Effect<A, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (cause) {
      return fail(store, operation, cause, key, position)
    }
  })

const fail = (
  store: string,
  operation: StoreError["operation"],
  cause: unknown,
  key?: Key,
  position?: number
): Effect.Effect<never, StoreError> => {
  const fields = explain(cause)
  return fields === undefined
    ? Effect.die(cause)
    : Effect.fail(new StoreError({ store, operation, key, position, ...fields }))
}

// SQLite is used synchronously: reading a sample takes less time than asking a thread to.
const make = (path: string, connections: Connections): { readonly store: Store; readonly close: () => void } => {
  const name = `SQLite ${path}`
  const failed = (operation: StoreError["operation"], cause: unknown, key?: Key, position?: number) =>
    fail(name, operation, cause, key, position)
  const read = <A>(
    operation: StoreError["operation"],
    empty: A,
    evaluate: (statements: Statements) => A,
    key?: Key
  ): Effect.Effect<A, StoreError> => attempt(name, operation, () => connections.use(evaluate) ?? empty, key)
  const write = <A>(
    operation: StoreError["operation"],
    evaluate: (statements: Statements) => A,
    key: Key,
    position: number
  ): Effect.Effect<A, StoreError> => attempt(name, operation, () => connections.transact(evaluate), key, position)

  const digests = new WeakMap<Key, Buffer>()
  const prefixes = new WeakMap<Identity, Buffer>()
  const digest = (key: Key): Buffer => {
    let digest = digests.get(key)
    if (digest === undefined) {
      let prefix = prefixes.get(key.identity)
      if (prefix === undefined) prefixes.set(key.identity, prefix = prefixOf(key.identity))
      digests.set(key, digest = digestOf(key, prefix))
    }
    return digest
  }

  const putKey = (statements: Statements, key: Key): number => {
    const put = () => statements.putKey.get(...ofKey(key, digest(key))) as Row | undefined
    let row = put()
    if (row === undefined) {
      statements.putIdentity.run(key.identity.id)
      row = put()!
    }
    return row[0] as number
  }

  const place = (statements: Statements, { entries, ifTaken, key }: Put): Placed => {
    const number = Samples.keyOf(statements, digest(key)) ?? putKey(statements, key)
    return entries.map((entry) => {
      let { position } = entry
      if (Samples.put(statements, number, entry, position)) return position
      for (const row of Samples.held(statements, number, position)) {
        if (row[0] !== position) break
        if (isHeld(row, entry.id)) return position
        if (ifTaken === "drop") return undefined
        position++
      }
      Samples.put(statements, number, entry, position)
      return position
    })
  }

  const { flush, put } = makeGroupCommit(
    (puts) => connections.transact((statements) => puts.map((put) => place(statements, put))),
    (cause, { entries, key }) => failed("put", cause, key, entries[0].position)
  )

  const listed = (row: Row): Result.Result<Listed, StoreError> => {
    const element = toListed(row)
    return element !== undefined ? Result.succeed(element) : Result.fail(
      new StoreError({
        kind: "Damaged",
        store: name,
        operation: "keys",
        description:
          `the key whose id is ${String(row[0])} in the table \`keys\` is not what was put: restore the file. ` +
          "Its samples are found by who asks for them"
      })
    )
  }

  const damaged = (key: Key, position: number): Effect.Effect<never, StoreError> =>
    Effect.fail(
      new StoreError({
        kind: "Damaged",
        store: name,
        operation: "get",
        key,
        position,
        description: "the sample is not what was put: its text was altered or cut off. Restore the file, or remove " +
          "the sample to have its position drawn again"
      })
    )

  const get: Store["get"] = (key, position) =>
    Effect.suspend(() => {
      try {
        const statements = connections.read()
        const row = statements && Samples.get(statements, digest(key), position)
        if (row === undefined) return Effect.undefined
        const sample = toSample(row)
        return sample !== undefined ? Effect.succeed(sample) : damaged(key, position)
      } catch (cause) {
        connections.recover(cause)
        return failed("get", cause, key, position)
      }
    })

  const getEach = Effect.fnUntraced(function*(key: Key, from: number, count: number) {
    const samples: Array<Drawn> = []
    for (let i = 0; i < count; i++) {
      const sample = yield* Effect.matchEffect(get(key, from + i), {
        onSuccess: Effect.succeed,
        onFailure: (error) => i === 0 ? Effect.fail(error) : Effect.undefined
      })
      if (sample === undefined) break
      samples.push(sample)
    }
    return samples
  })

  const store: Store = {
    id: `sqlite ${realPath(path)}`,
    describe: () => name,
    get,
    getMany: (key, from, count) =>
      Effect.suspend(() => {
        try {
          const statements = connections.read()
          const samples: Array<Drawn> = []
          for (const row of statements === undefined ? [] : Samples.getMany(statements, digest(key), from, count)) {
            const sample = toSample(row)
            if (sample === undefined) return samples.length > 0 ? Effect.succeed(samples) : damaged(key, from)
            samples.push(sample)
          }
          return Effect.succeed(samples)
        } catch (cause) {
          connections.recover(cause)
          // A row with a number that is none of ours stands for itself alone.
          return count > 1 && explain(cause)?.kind === "Damaged"
            ? getEach(key, from, count)
            : failed("get", cause, key, from)
        }
      }),
    positions: (key) => read("positions", [], (statements) => Samples.positions(statements, digest(key)), key),
    prepare: (key) => attempt(name, "prepare", () => connections.prepare(), key),
    put,
    remove: (key, positions) =>
      write(
        "remove",
        (statements) => {
          for (const position of positions) Samples.remove(statements, digest(key), position)
        },
        key,
        positions[0]
      ),
    keys: Stream.paginate(0, (last) =>
      read("keys", [[], Option.none<number>()] as const, ({ keys }) => {
        const rows = [...Samples.rowsOf(keys.all(last, page))]
        return [
          rows.filter((row) => row[5] !== 0).map(listed),
          rows.length < page ? Option.none() : Option.some(Number(rows.at(-1)![0]))
        ] as const
      })),
    prompts: (identity, limit) =>
      read("prompts", [], ({ prompts }) => {
        const prefix = prefixOf(identity)
        const last = Buffer.alloc(16, 0xff)
        prefix.copy(last)
        return Array.from(Samples.rowsOf(prompts.all(prefix, last, identity.id, limit)), toPrompt)
      }),
    leases: {
      acquire: (key, positions, holder, expiry) =>
        write(
          "lease",
          ({ expireLeases, leaseOfAnother, putLease }) => {
            expireLeases.run()
            const isFree = positions.every((position) =>
              leaseOfAnother.get(digest(key), position, holder) === undefined
            )
            if (isFree) {
              for (const position of positions) {
                putLease.run(digest(key), position, holder, expiry)
              }
            }
            return isFree
          },
          key,
          positions[0]
        ),
      release: (key, positions, holder) =>
        write(
          "lease",
          ({ removeLease }) => {
            for (const position of positions) removeLease.run(digest(key), position, holder)
          },
          key,
          positions[0]
        )
    }
  }
  return {
    store,
    close: () => {
      flush()
      connections.close()
    }
  }
}

const realPath = (path: string): string => {
  try {
    return Fs.realpathSync(path)
  } catch {
    return path
  }
}
