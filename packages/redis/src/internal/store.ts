import { fromId } from "@llm-cache/core/Identity"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { damagedKey, type Fault, laterVersion, makeRun, storeError } from "@llm-cache/core/StoreFault"
import { makeGetMany } from "@llm-cache/core/StoreRow"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redis from "effect/persistence/Redis"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { explain, isServerError } from "./errors.ts"
import { IdentityCounts } from "./identityCounts.ts"
import { makeLeases } from "./leases.ts"
import { decodeKey, decodeSample, encodeId, encodeKey, encodeSample } from "./rows.ts"
import { all, format, identityIn, makeNames, type Place, placeOf, rangeOfIdentity } from "./schema.ts"
import * as Scripts from "./scripts.ts"

type Service = Redis.Redis["Service"]

/** How many samples or names of sequences one command reads. */
const pageSize = { read: 256, keys: 100 }

/** Opens the samples of a prefix as a store, without writing. */
export const openStore = Effect.fnUntraced(function*(
  redis: Service,
  prefix: string
): Effect.fn.Return<SampleStore.Store, StoreError> {
  const failed = (fault: Fault) => storeError(`redis ${prefix}`, "open", fault)
  const place = placeOf(prefix)
  const meta = redis.send<ReadonlyArray<string | null>>("HMGET", place.meta, "format", "id")
  const [[version, id], { evictionPolicy, runId = "" }] = yield* Effect.mapError(
    Effect.all([meta, inspect(redis)], { concurrency: "unbounded" }),
    (error) => failed(explain(error))
  )
  if (typeof version === "string" && version !== format) return yield* failed(laterVersion(version, format))
  if (evictionPolicy?.startsWith("allkeys")) {
    return yield* failed({
      kind: "Unavailable",
      description:
        `under its policy ${evictionPolicy}, Redis drops any key when its memory is full, also samples that ` +
        "were paid for: set `maxmemory-policy noeviction`"
    })
  }
  return makeStore(redis, prefix, place, id ?? runId)
})

interface Inspected {
  readonly evictionPolicy: string | undefined
  /** The server's name of its run. */
  readonly runId?: string | undefined
}

// A user without the right to ask is trusted to know the policy.
const inspect = (redis: Service): Effect.Effect<Inspected, Redis.RedisError> => {
  const ask = (command: string, ...args: ReadonlyArray<string>) =>
    Effect.catchIf(
      Effect.map(redis.send(command, ...args), (answer) => JSON.stringify(answer)),
      isServerError,
      () => Effect.succeed("")
    )
  return Effect.flatMap(ask("INFO"), (info): Effect.Effect<Inspected, Redis.RedisError> => {
    const evictionPolicy = /maxmemory_policy:([\w-]+)/.exec(info)?.[1]
    if (evictionPolicy !== undefined) return Effect.succeed({ evictionPolicy, runId: /run_id:(\w+)/.exec(info)?.[1] })
    return Effect.map(ask("CONFIG", "GET", "maxmemory-policy"), (answer) => ({
      evictionPolicy: /maxmemory-policy\W+([\w-]+)/.exec(answer)?.[1]
    }))
  })
}

const makeStore = (redis: Service, prefix: string, place: Place, id: string): SampleStore.Store => {
  const name = `redis ${prefix}`
  const run = makeRun(name, explain)

  const { identityOf, indexOf, leasesOf, nameOf, samplesOf, sequenceOf } = makeNames(prefix)
  const prepare = redis.eval(Scripts.prepare)
  // The name of a new place, if no other process names it first.
  const newId = crypto.randomUUID()
  const put = redis.eval(Scripts.put)
  const remove = redis.eval(Scripts.remove)

  // The key of a sequence, `undefined` if its samples are gone.
  const toListed = (sequence: string, identityId: string | null): Effect.Effect<
    Result.Result<SampleStore.Listed, StoreError> | undefined,
    Redis.RedisError
  > => {
    const damaged = Result.fail(
      storeError(
        name,
        "keys",
        damagedKey(`the prompt of ${samplesOf(sequence)}, or its identity in ${place.identities},`)
      )
    )
    const both = Effect.all([
      redis.send<string | null>("HGET", samplesOf(sequence), "key"),
      redis.send<number>("ZCARD", indexOf(sequence))
    ], { concurrency: "unbounded" })
    return Effect.matchEffect(both, {
      onFailure: (error) => explain(error).kind === "Damaged" ? Effect.succeed(damaged) : Effect.fail(error),
      onSuccess: ([value, samples]) => {
        if (samples === 0) return Effect.undefined
        const key = decodeKey(value, identityId)
        return Effect.succeed(
          key !== undefined && nameOf(key) === sequence ? Result.succeed({ key, samples }) : damaged
        )
      }
    })
  }

  const page = Effect.fnUntraced(function*(sequences: ReadonlyArray<string>) {
    if (sequences.length === 0) return []
    const identities = [...new Set(sequences.map(identityIn))]
    const ids = yield* redis.send<ReadonlyArray<string | null>>("HMGET", place.identities, ...identities)
    const idOf = new Map(identities.map((identity, i) => [identity, ids[i] ?? null]))
    const listed = yield* Effect.forEach(
      sequences,
      (sequence) => toListed(sequence, idOf.get(identityIn(sequence))!),
      { concurrency: pageSize.keys }
    )
    return listed.filter((element) => element !== undefined)
  })

  // The names of sequences, some at a time.
  const sequencesIn = <A>(
    [first, end]: readonly [from: string, to: string],
    page: (sequences: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<A>, Redis.RedisError>
  ): Stream.Stream<A, StoreError> =>
    Stream.paginate(first, (from: string) =>
      run(
        "keys",
        redis.send<ReadonlyArray<string>>(
          "ZRANGEBYLEX",
          place.sequences,
          from,
          end,
          "LIMIT",
          "0",
          `${pageSize.keys}`
        ).pipe(
          Effect.flatMap((sequences) =>
            Effect.map(page(sequences), (listed) => [
              listed,
              sequences.length < pageSize.keys ? Option.none() : Option.some(`(${sequences.at(-1)!}`)
            ])
          )
        )
      ))

  return SampleStore.make({
    id: `${name} ${id}`,
    describe: (key) => `redis ${samplesOf(nameOf(key))}`,
    getMany: makeGetMany({
      store: name,
      pageSize: pageSize.read,
      read: (key, start, length) =>
        Effect.map(
          run(
            "get",
            redis.send<ReadonlyArray<string | null>>(
              "HMGET",
              samplesOf(nameOf(key)),
              ...Array.from({ length }, (_, i) => `${start + i}`)
            ),
            key,
            start
          ),
          (values) => {
            const gap = values.indexOf(null)
            return (gap < 0 ? values : values.slice(0, gap)).map((value) => decodeSample(value!))
          }
        ),
      rowOf: (key, position) => `the field ${position} of ${samplesOf(nameOf(key))}`
    }),
    positions: (key) =>
      Effect.map(
        run(
          "positions",
          redis.send<ReadonlyArray<unknown>>("ZRANGE", indexOf(nameOf(key)), "0", "-1", "WITHSCORES"),
          key
        ),
        // RESP3 answers with pairs, RESP2 with a flat list.
        (answer) => answer.flat().flatMap((score, i) => i % 2 === 0 ? [] : Number(score))
      ),
    prepare: (key) => Effect.asVoid(run("prepare", prepare(Scripts.keysOf(place, sequenceOf(key)), newId), key)),
    put: (key, entries, ifTaken) =>
      Effect.map(
        run(
          "put",
          put({
            place,
            sequence: sequenceOf(key),
            id: newId,
            identity: [identityOf(key.identity), key.identity.id],
            key: encodeKey(key),
            ifTaken,
            rows: entries.map(({ drawn, id, position }) => [position, encodeId(id), encodeSample(drawn)])
          }),
          key,
          entries[0].position
        ),
        (positions) => positions.map((position) => position === "" ? undefined : Number(position))
      ),
    remove: (key, positions) =>
      Effect.asVoid(run("remove", remove(place, sequenceOf(key), positions), key, positions[0])),
    keys: ({ identity, promptHash } = {}) =>
      identity !== undefined
        ? sequencesIn(rangeOfIdentity(identityOf(identity), promptHash), page)
        : promptHash === undefined
        ? sequencesIn(all, page)
        : Stream.fromIterableEffect(run("keys", redis.send<ReadonlyArray<string>>("HKEYS", place.identities))).pipe(
          Stream.flatMap((identity) => sequencesIn(rangeOfIdentity(identity, promptHash), page))
        ),
    identities: Stream.suspend(() => {
      const counts = new IdentityCounts()
      return sequencesIn(all, (sequences) =>
        Effect.map(
          Effect.forEach(sequences, (sequence) => redis.send<number>("ZCARD", indexOf(sequence)), {
            concurrency: pageSize.keys
          }),
          (samples) => {
            for (const [i, sequence] of sequences.entries()) counts.add(sequence, samples[i]!)
            return []
          }
        )).pipe(
          Stream.drain,
          Stream.concat(Stream.suspend(() => Stream.fromIterable(counts.all()))),
          Stream.mapEffect(([identity, counts]) =>
            Effect.map(
              run("keys", redis.send<string | null>("HGET", place.identities, identity)),
              (id): Result.Result<SampleStore.ListedIdentity, StoreError> => {
                const found = id === null ? undefined : fromId(id)
                return found !== undefined && identityOf(found) === identity
                  ? Result.succeed({ identity: found, ...counts })
                  : Result.fail(
                    storeError(name, "keys", damagedKey(`the identity ${identity} in ${place.identities}`))
                  )
              }
            )
          )
        )
    }),
    leases: makeLeases(redis, run, leasesOf)
  })
}
