import { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { Key } from "@llm-cache/core/Key"
import type { Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { damagedKey, laterVersion, makeRun, storeError } from "@llm-cache/core/StoreFault"
import { makeGetMany } from "@llm-cache/core/StoreRow"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { inTransaction, onItsOwn } from "./connection.ts"
import { explain, isConflict, isMissingTable, isTaken, narrow, silent } from "./errors.ts"
import { countIdentities } from "./identities.ts"
import { makeLeases } from "./leases.ts"
import { placeEntries, type Placement } from "./placement.ts"
import {
  decodeId,
  decodeIdentity,
  decodeKey,
  decodeSample,
  digestOfIdentity,
  digestOfKey,
  encodeKey,
  encodeSample,
  keyColumns,
  type Row,
  sampleColumns
} from "./rows.ts"
import * as Schema from "./schema.ts"

/** How many rows one statement reads or writes: keys are longer, and a statement has a limit of parameters. */
const pageSize = { read: 256, ids: 1000, keys: 100, written: 100, removed: 1000 }

/** How long the server has to answer when the store opens. Later a statement may wait for locks. */
const openTimeout = "30 seconds"

export interface Options {
  /** Names the function in errors. */
  readonly module: string
  /** Names the store in messages. */
  readonly name: string
  readonly prefix: string
}

/** Opens the tables of a prefix as a store, without creating them. */
export const openStore = Effect.fnUntraced(function*(
  client: SqlClient,
  { module, name, prefix }: Options
): Effect.fn.Return<SampleStore.Store, InvalidInput | StoreError> {
  if (typeof prefix !== "string" || !/^[A-Za-z_]\w{0,39}$/.test(prefix)) {
    return yield* new InvalidInput({
      module,
      description: `\`prefix\` ${JSON.stringify(prefix)} cannot begin the name of a table: give at most 40 letters, ` +
        "digits and _"
    })
  }
  if (!client.onDialectOrElse({ pg: () => true, orElse: () => false })) {
    return yield* new InvalidInput({ module, description: "the client is of another database: use one of PostgreSQL" })
  }
  // The program's client may rename columns.
  const sql = client.withoutTransforms()
  const tables = Schema.tablesOf(sql, prefix)
  const [database, version] = yield* onItsOwn(
    sql,
    Effect.all([Schema.nameOfDatabase(sql), Schema.versionOf(sql, tables)])
  ).pipe(
    Effect.mapError(explain),
    Effect.timeoutOrElse({ duration: openTimeout, orElse: () => Effect.fail(silent) }),
    Effect.mapError((fault) => storeError(name, "open", fault))
  )
  if (version > Schema.version) {
    return yield* storeError(name, "open", laterVersion(version, Schema.version))
  }
  return makeStore(sql, name, tables, `sql ${database}.${tables.samples.value}`, version)
})

const makeStore = (
  sql: SqlClient,
  name: string,
  tables: Schema.Tables,
  id: string,
  version: number
): SampleStore.Store => {
  let columns = sampleColumns(version)

  const explained = makeRun(name, explain)
  const run = <A>(
    operation: StoreError["operation"],
    effect: Effect.Effect<A, SqlError>,
    key?: Key,
    position?: number
  ): Effect.Effect<A, StoreError> => explained(operation, onItsOwn(sql, effect), key, position)

  // Without tables there are no samples.
  const read = <A>(
    operation: StoreError["operation"],
    rows: Effect.Effect<ReadonlyArray<A>, SqlError>,
    key?: Key,
    position?: number
  ) => run(operation, Effect.catchIf(rows, isMissingTable, () => Effect.succeed([])), key, position)

  const one = Semaphore.makeUnsafe(1)
  let isReady = false

  // The first write checks that the database can hold all texts, and creates the tables or brings them to this version.
  const getReady = Effect.fnUntraced(function*(operation: StoreError["operation"], key: Key) {
    if (isReady) return
    const encoding = yield* run(operation, Schema.narrowEncoding(sql), key)
    if (encoding !== undefined) return yield* storeError(name, operation, narrow(encoding), key)
    let version = yield* run(operation, Schema.versionOf(sql, tables), key)
    if (version < Schema.version) {
      yield* run(operation, Schema.migrate(sql, tables), key)
      version = yield* run(operation, Schema.versionOf(sql, tables), key)
    }
    if (version > Schema.version) {
      return yield* storeError(name, operation, laterVersion(version, Schema.version), key)
    }
    columns = sampleColumns(version)
    isReady = true
  }, one.withPermits(1))

  const write = <A>(
    operation: StoreError["operation"],
    effect: Effect.Effect<A, SqlError>,
    key: Key,
    position?: number
  ): Effect.Effect<A, StoreError> => {
    const written = run(
      operation,
      // The next write looks for the tables again.
      Effect.tapError(effect, (error) => Effect.sync(() => void (isReady &&= !isMissingTable(error)))),
      key,
      position
    )
    return Effect.suspend(() => isReady ? written : Effect.andThen(getReady(operation, key), written))
  }

  const digests = new WeakMap<Key, string>()
  const digestOf = (key: Key): string => {
    let digest = digests.get(key)
    if (digest === undefined) digests.set(key, digest = digestOfKey(key))
    return digest
  }

  const describe = (key: Key): string => `${name}, ${tables.samples.value}, key_sha256 ${digestOf(key)}`

  // The keys that have their row, as far as this store knows.
  const known = new WeakSet<Key>()

  const putKey = (key: Key): Effect.Effect<unknown, SqlError> =>
    Effect.suspend(() => {
      if (known.has(key)) return Effect.void
      return Effect.tap(
        sql`insert into ${tables.keys} ${sql.insert(encodeKey(key, digestOf(key)))} on conflict do nothing`,
        () => Effect.sync(() => known.add(key))
      )
    })

  // Inserts nothing, and needs the right to insert.
  const probe = sql`insert into ${tables.samples} (key_sha256, position)
    select key_sha256, 0 from ${tables.keys} where 1 = 0`

  const insert = (digest: string, entries: ReadonlyArray<Entry>): Effect.Effect<unknown, SqlError> => {
    const rows = entries.map((entry) => encodeSample(entry, digest))
    const statements = Arr.chunksOf(rows, pageSize.written).map((rows) =>
      sql`insert into ${tables.samples} ${sql.insert(rows)}`
    )
    return statements.length === 1
      ? statements[0]!
      : inTransaction(sql, Effect.forEach(statements, (statement) => statement, { discard: true }))
  }

  // Inserts all entries or none. If another process took a position meanwhile, it reads the taken positions from there
  // on and tries again. It ends, because each try follows a success of another process.
  const place = (
    digest: string,
    entries: Arr.NonEmptyReadonlyArray<Entry>,
    ifTaken: "drop" | "append"
  ): Effect.Effect<Placement["positions"], SqlError> => {
    const taken = new Map<number, string | undefined>()
    let before = -1
    const write = ({ fresh, positions }: Placement): Effect.Effect<Placement["positions"], SqlError> => {
      if (!Arr.isReadonlyArrayNonEmpty(fresh)) return Effect.succeed(positions)
      return insert(digest, fresh).pipe(
        Effect.as(positions),
        Effect.catch((error) => {
          // Only a sample is visible: a second violation without a new one has another cause.
          const isLearning = isTaken(error) && taken.size > before
          before = taken.size
          return isLearning || isConflict(error) ? look(fresh[0].position) : Effect.fail(error)
        })
      )
    }
    const look = (from: number): Effect.Effect<Placement["positions"], SqlError> =>
      Effect.flatMap(
        sql`select position, entry_id, encoding from ${tables.samples}
          where key_sha256 = ${digest} and position >= ${from} order by position limit ${pageSize.ids}`.values,
        (rows) => {
          for (const [position, id, encoding] of rows) taken.set(Number(position), decodeId(id, encoding))
          const placement = placeEntries(entries, ifTaken, taken)
          const seen = rows.length < pageSize.ids ? Infinity : Number(rows.at(-1)![0])
          const last = placement.fresh.at(-1)?.position ?? 0
          return last > seen ? look(seen + 1) : write(placement)
        }
      )
    return write(placeEntries(entries, ifTaken, taken))
  }

  const toListed = (row: Row): Result.Result<SampleStore.Listed, StoreError> => {
    const listed = decodeKey(row)
    return listed !== undefined
      ? Result.succeed(listed)
      : Result.fail(
        storeError(name, "keys", damagedKey(`the row of ${tables.keys.value} with the key_sha256 ${String(row[0])}`))
      )
  }

  const toListedIdentity = (row: Row): Result.Result<SampleStore.ListedIdentity, StoreError> => {
    const listed = decodeIdentity(row)
    return listed !== undefined
      ? Result.succeed(listed)
      : Result.fail(
        storeError(name, "keys", damagedKey(`a row of ${tables.keys.value} with the identity_id ${String(row[0])}`))
      )
  }

  return SampleStore.make({
    id,
    describe,
    getMany: makeGetMany({
      store: name,
      pageSize: pageSize.read,
      read: (key, start, length) =>
        Effect.map(
          read(
            "get",
            sql`select ${sql.literal(columns)}, position from ${tables.samples} s
              where key_sha256 = ${digestOf(key)} and position >= ${start} and position < ${start + length}
              order by position`.values,
            key,
            start
          ),
          (rows) => {
            const gap = rows.findIndex((row, i) => Number(row.at(-1)) !== start + i)
            return (gap < 0 ? rows : rows.slice(0, gap)).map(decodeSample)
          }
        ),
      rowOf: (key, position) => `the row of ${describe(key)}, position ${position},`
    }),
    positions: (key) =>
      Effect.map(
        Effect.suspend(() =>
          read(
            "positions",
            sql`select position from ${tables.samples} where key_sha256 = ${digestOf(key)} order by position`.values,
            key
          )
        ),
        (rows) => rows.map(([position]) => Number(position))
      ),
    prepare: (key) =>
      write("prepare", Effect.andThen(Effect.sync(() => known.delete(key)), Effect.andThen(putKey(key), probe)), key),
    put: (key, entries, ifTaken) =>
      write(
        "put",
        Effect.andThen(putKey(key), Effect.suspend(() => place(digestOf(key), entries, ifTaken))).pipe(
          Effect.tapError(() => Effect.sync(() => known.delete(key)))
        ),
        key,
        entries[0].position
      ),
    remove: (key, positions) =>
      run(
        "remove",
        Effect.forEach(
          Arr.chunksOf(positions, pageSize.removed),
          (some) =>
            Effect.retry(
              sql`delete from ${tables.samples} where key_sha256 = ${digestOf(key)} and ${sql.in("position", some)}`,
              { while: isConflict }
            ),
          { discard: true }
        ).pipe(Effect.catchIf(isMissingTable, () => Effect.void)),
        key,
        positions[0]
      ),
    keys: ({ identity, promptHash: digits } = {}) =>
      Stream.paginate(["", ""] as Row, ([digest, promptHash]) =>
        Effect.map(
          read(
            "keys",
            sql`select ${sql.literal(keyColumns)},
                (select count(*) from ${tables.samples} s where s.key_sha256 = k.key_sha256) as samples
              from ${tables.keys} k where ${
              // A hash has no digit behind "f".
              digits === undefined
                ? sql``
                : sql`prompt_sha256 >= ${digits} and prompt_sha256 < ${`${digits}g`} and `}${
              identity === undefined
                ? sql`key_sha256 > ${digest} order by key_sha256`
                : sql`identity_sha256 = ${digestOfIdentity(identity)}
                  and (prompt_sha256, key_sha256) > (${promptHash}, ${digest}) order by prompt_sha256, key_sha256`
            } limit ${pageSize.keys}`.values
          ),
          (rows) => [
            rows.filter((row) => Number(row.at(-1)) > 0).map(toListed),
            rows.length < pageSize.keys ? Option.none() : Option.some(rows.at(-1)!)
          ]
        )),
    identities: Stream.fromIterableEffect(
      Effect.map(read("keys", countIdentities(sql, tables)), (rows) => rows.map(toListedIdentity))
    ),
    leases: makeLeases(sql, tables, { run, write }, digestOf)
  })
}
