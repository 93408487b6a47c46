import type { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry } from "@llm-cache/core/Sample"
import { StoreError } from "@llm-cache/core/SampleError"
import type { Listed, Store } from "@llm-cache/core/SampleStore"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { dialectOf, isMissingTable } from "./dialect.ts"
import { makeLeases } from "./leases.ts"
import { arrange, type Arrangement } from "./placing.ts"
import * as Rows from "./rows.ts"
import * as Schema from "./schema.ts"
import { isDisturbed, isTaken, unavailable } from "./sqlErrors.ts"
import { inTransaction, onItsOwn } from "./transactions.ts"

/** How many rows one statement reads or writes: keys are longer, and a driver limits the parameters of a statement. */
const atATime = { read: 256, held: 1000, keys: 100, written: 100, removed: 1000 }

export interface Options {
  /** Names the store in messages. */
  readonly name: string
  readonly prefix: string
  /** Leave the database as it is: where it has no tables, no key has a sample. */
  readonly isReadOnly: boolean
}

export const makeStore = (
  client: SqlClient,
  { isReadOnly, name, prefix }: Options
): Effect.Effect<Store, StoreError> =>
  Effect.gen(function*() {
    const refused = (kind: StoreError["kind"], description: string) =>
      new StoreError({ kind, store: name, operation: "open", description })
    if (!/^[A-Za-z_]\w{0,39}$/.test(prefix)) {
      return yield* refused(
        "InvalidName",
        `${JSON.stringify(prefix)} cannot be the start of a table's name: give at most 40 letters, digits and _`
      )
    }
    // whatever the program has its own columns called
    const sql = client.withoutTransforms()
    const dialect = dialectOf(sql)
    if (dialect === undefined) {
      return yield* refused("InvalidName", "no samples can be stored in this kind of database: use PostgreSQL")
    }
    const tables = Schema.tablesOf(sql, prefix)
    const opening = <A>(effect: Effect.Effect<A, SqlError>) =>
      Effect.mapError(onItsOwn(sql, effect), (error) => unavailable({ store: name, operation: "open" }, error))
    let found = yield* opening(Schema.find(sql, tables, dialect))
    if (!isReadOnly && (found === undefined || found.version < Schema.version)) {
      found = yield* opening(Schema.migrate(sql, tables, dialect))
    }
    if (found !== undefined && found.version !== Schema.version) {
      return yield* refused(
        "Unavailable",
        `its tables have version ${found.version}, and this library writes version ${Schema.version}: ` +
          (found.version > Schema.version ? "update the library" : "open them once without replication, as their owner")
      )
    }
    return storeOf(sql, name, tables, dialect, found)
  })

const storeOf = (
  sql: SqlClient,
  name: string,
  tables: Schema.Tables,
  dialect: NonNullable<ReturnType<typeof dialectOf>>,
  found: Schema.Found | undefined
): Store => {
  const hashes = new WeakMap<Key, string>()
  // Those whose row is there, as far as is known.
  const ready = new WeakSet<Key>()
  const columns = sql.literal(Rows.sampleColumns.join(", "))

  const hashOf = (key: Key): string => {
    let hash = hashes.get(key)
    if (hash === undefined) hashes.set(key, hash = Rows.hashOf(key))
    return hash
  }

  const describe = (key: Key): string => `${name}, ${tables.samples.value}, key_sha256 ${hashOf(key)}`

  const run = <A>(
    operation: StoreError["operation"],
    key: Key | undefined,
    position: number | undefined,
    effect: Effect.Effect<A, SqlError>
  ): Effect.Effect<A, StoreError> =>
    Effect.mapError(
      onItsOwn(sql, effect),
      (error) => unavailable({ store: name, operation, key, position }, error)
    )

  // Where there were no tables, there may be some by now.
  const read = <A>(effect: Effect.Effect<ReadonlyArray<A>, SqlError>): Effect.Effect<ReadonlyArray<A>, SqlError> =>
    found !== undefined ? effect : Effect.catchIf(effect, isMissingTable, () => Effect.succeed([]))

  const damaged = (operation: StoreError["operation"], description: string, key?: Key, position?: number) =>
    new StoreError({ kind: "Damaged", store: name, operation, key, position, description })

  const damagedSample = (key: Key, position: number) =>
    damaged(
      "get",
      `the row of ${describe(key)}, position ${position}, is not what was put, it may have been edited. Restore ` +
        "it, or delete it to have the position drawn again",
      key,
      position
    )

  const get = (key: Key, position: number): Effect.Effect<Drawn | undefined, StoreError> =>
    Effect.flatMap(
      run(
        "get",
        key,
        position,
        read(sql<Rows.SampleRow>`select ${columns} from ${tables.samples}
          where key_sha256 = ${hashOf(key)} and position = ${position}`)
      ),
      ([row]) => {
        if (row === undefined) return Effect.undefined
        const drawn = Rows.fromSampleRow(row)
        return drawn !== undefined ? Effect.succeed(drawn) : Effect.fail(damagedSample(key, position))
      }
    )

  const getMany: Store["getMany"] = Effect.fnUntraced(function*(key, from, count) {
    const samples: Array<Drawn> = []
    while (samples.length < count) {
      const start = from + samples.length
      const end = start + Math.min(count - samples.length, atATime.read)
      const rows = yield* run(
        "get",
        key,
        start,
        read(sql<Rows.SampleRow & { readonly position: Rows.Numeric }>`select ${columns}, position
          from ${tables.samples} where key_sha256 = ${hashOf(key)} and position >= ${start} and position < ${end}
          order by position`)
      )
      for (const row of rows) {
        if (Number(row.position) !== from + samples.length) return samples
        const drawn = Rows.fromSampleRow(row)
        if (drawn === undefined) return samples.length > 0 ? samples : yield* damagedSample(key, from)
        samples.push(drawn)
      }
      if (from + samples.length < end) return samples
    }
    return samples
  })

  const ensureKey = (key: Key): Effect.Effect<unknown, SqlError> =>
    Effect.suspend(() => {
      if (ready.has(key)) return Effect.void
      const row = Rows.toKeyRow(key, hashOf(key))
      const insert = sql`insert into ${tables.keys} (${sql.csv(Object.keys(row).map((column) => sql.literal(column)))})
        select ${sql.csv(Object.values(row).map((value) => sql`${value}`))} from (select 1 as one) as one_row
        where not exists (select 1 from ${tables.keys} where key_sha256 = ${row.key_sha256})`
      return Effect.tap(Effect.catchIf(insert, isTaken, () => Effect.void), () => Effect.sync(() => ready.add(key)))
    })

  // inserts nothing, and needs the right to
  const probe = sql`insert into ${tables.samples} (key_sha256, position)
    select key_sha256, 0 from ${tables.keys} where 1 = 0`

  const insert = (hash: string, entries: ReadonlyArray<Entry>): Effect.Effect<unknown, SqlError> => {
    const rows = entries.map((entry) => Rows.toSampleRow(hash, entry))
    const statements = Arr.chunksOf(rows, atATime.written).map((rows) =>
      sql`insert into ${tables.samples} ${sql.insert(rows)}`
    )
    return statements.length === 1
      ? statements[0]!
      : inTransaction(sql, Effect.forEach(statements, (statement) => statement, { discard: true }))
  }

  // Inserts what has a place, all of it or nothing. Where others took one of the places meanwhile, it looks from there
  // on what is taken, as far as is needed, and tries again: each time because someone else has succeeded.
  const place = (
    hash: string,
    entries: Arr.NonEmptyReadonlyArray<Entry>,
    ifTaken: "drop" | "append"
  ): Effect.Effect<Arrangement["positions"], SqlError> => {
    const taken = new Map<number, string | undefined>()
    let known = -1
    const write = ({ fresh, positions }: Arrangement): Effect.Effect<Arrangement["positions"], SqlError> => {
      if (!Arr.isReadonlyArrayNonEmpty(fresh)) return Effect.succeed(positions)
      return insert(hash, fresh).pipe(
        Effect.as(positions),
        Effect.catch((error) => {
          // What is in the way, twice, and cannot be seen is no sample.
          const isLearning = isTaken(error) && taken.size > known
          known = taken.size
          return isLearning || isDisturbed(error) ? look(fresh[0].position) : Effect.fail(error)
        })
      )
    }
    const look = (from: number): Effect.Effect<Arrangement["positions"], SqlError> =>
      Effect.flatMap(
        sql<Rows.HeldRow>`select position, entry_id, encoding from ${tables.samples}
          where key_sha256 = ${hash} and position >= ${from} order by position limit ${atATime.held}`,
        (rows) => {
          for (const row of rows) taken.set(Number(row.position), Rows.heldId(row))
          const arrangement = arrange(entries, ifTaken, taken)
          const seen = rows.length < atATime.held ? Infinity : Number(rows.at(-1)!.position)
          const last = arrangement.fresh.at(-1)?.position ?? 0
          return last > seen ? look(seen + 1) : write(arrangement)
        }
      )
    return write(arrange(entries, ifTaken, taken))
  }

  const put: Store["put"] = (key, entries, ifTaken) =>
    run(
      "put",
      key,
      entries[0].position,
      Effect.andThen(ensureKey(key), Effect.suspend(() => place(hashOf(key), entries, ifTaken))).pipe(
        Effect.tapError(() => Effect.sync(() => ready.delete(key)))
      )
    )

  const keysAfter = (last: string) =>
    Effect.map(
      run(
        "keys",
        undefined,
        undefined,
        read(sql<Rows.KeyRow & { readonly samples: Rows.Numeric }>`select k.*,
            (select count(*) from ${tables.samples} s where s.key_sha256 = k.key_sha256) as samples
          from ${tables.keys} k where key_sha256 > ${last} order by key_sha256 limit ${atATime.keys}`)
      ),
      (rows): readonly [ReadonlyArray<Result.Result<Listed, StoreError>>, Option.Option<string>] => [
        rows.filter(({ samples }) => Number(samples) > 0).map((row) => {
          const key = Rows.fromKeyRow(row)
          return key !== undefined ? Result.succeed({ key, samples: Number(row.samples) }) : Result.fail(damaged(
            "keys",
            `the row of ${tables.keys.value} whose key_sha256 is ${row.key_sha256} is not what was put, it may have ` +
              "been edited. Restore it, or delete it and its samples"
          ))
        }),
        rows.length < atATime.keys ? Option.none() : Option.some(rows.at(-1)!.key_sha256)
      ]
    )

  const prompts: Store["prompts"] = (identity, limit) =>
    Effect.suspend(() => {
      const prompts = new Set<string>()
      // A prompt's rows, one for each fork, stand together: the next look is behind them.
      const after = (last: string): Effect.Effect<ReadonlyArray<string>, SqlError> =>
        Effect.flatMap(
          read(sql<Rows.KeyRow>`select prompt_sha256, prompt, encoding from ${tables.keys} k
            where identity_sha256 = ${Rows.identityHash(identity)} and prompt_sha256 > ${last} and exists
              (select 1 from ${tables.samples} s where s.key_sha256 = k.key_sha256)
            order by prompt_sha256 limit ${limit}`),
          (rows) => {
            for (const row of rows) {
              const prompt = Rows.promptOf(row)
              if (prompt !== undefined && prompts.size < limit) prompts.add(prompt)
            }
            return rows.length < limit || prompts.size === limit
              ? Effect.succeed([...prompts])
              : after(rows.at(-1)!.prompt_sha256)
          }
        )
      return limit > 0 ? run("prompts", undefined, undefined, after("")) : Effect.succeed([])
    })

  const leases = makeLeases(sql, tables, dialect, hashOf)

  return {
    id: found === undefined ? name : `sql ${found.place} ${tables.samples.value} ${found.id}`,
    describe,
    get,
    getMany,
    positions: (key) =>
      Effect.map(
        run(
          "positions",
          key,
          undefined,
          read(sql<Rows.HeldRow>`select position from ${tables.samples}
            where key_sha256 = ${hashOf(key)} order by position`)
        ),
        (rows) => rows.map(({ position }) => Number(position))
      ),
    prepare: (key) =>
      run(
        "prepare",
        key,
        undefined,
        Effect.andThen(Effect.sync(() => ready.delete(key)), Effect.andThen(ensureKey(key), probe))
      ),
    put,
    remove: (key, positions) =>
      run(
        "remove",
        key,
        positions[0],
        Effect.forEach(
          Arr.chunksOf(positions, atATime.removed),
          (some) =>
            Effect.retry(
              sql`delete from ${tables.samples} where key_sha256 = ${hashOf(key)} and ${sql.in("position", some)}`,
              { while: isDisturbed }
            ),
          { discard: true }
        )
      ),
    keys: Stream.paginate("", keysAfter),
    prompts,
    leases: {
      acquire: (key, positions, ...rest) => run("lease", key, positions[0], leases.acquire(key, positions, ...rest)),
      release: (key, positions, holder) => run("lease", key, positions[0], leases.release(key, positions, holder))
    }
  }
}
