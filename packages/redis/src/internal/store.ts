import type { Key } from "@llm-cache/core/Key"
import type { Drawn } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { damagedKey, damagedSample, type Fault, otherVersion, storeError } from "@llm-cache/core/StoreRow"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redis from "effect/persistence/Redis"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { explain, isServerError } from "./errors.ts"
import { makeLeases } from "./leases.ts"
import { decodeKey, decodeSample, encodeId, encodeKey, encodeSample } from "./rows.ts"
import { format, identityIn, makeNames, type Place, placeOf, rangeOfIdentity } from "./schema.ts"
import * as Scripts from "./scripts.ts"

type Service = Redis.Redis["Service"]

/** How many samples or names of sequences one command reads. */
const pageSize = { read: 256, keys: 100 }

export interface Options {
  readonly prefix: string
  /** Never write. */
  readonly isReadOnly: boolean
}

/** Opens the samples of a prefix as a store. It names a new place, unless it may not write. */
export const openStore = Effect.fnUntraced(function*(
  redis: Service,
  { isReadOnly, prefix }: Options
): Effect.fn.Return<SampleStore.Store, StoreError> {
  const failed = (fault: Fault) => storeError(`redis ${prefix}`, "open", fault)
  const place = placeOf(prefix)
  const meta = redis.send<ReadonlyArray<string | null>>("HMGET", place.meta, "format", "id")
  const [[version, known], policy] = yield* Effect.mapError(
    Effect.all([meta, evictionPolicy(redis)], { concurrency: "unbounded" }),
    (error) => failed(explain(error))
  )
  if (typeof version === "string" && version !== format) return yield* failed(otherVersion(version, format))
  if (policy !== undefined) {
    return yield* failed({
      kind: "Unavailable",
      description: `under its policy ${policy}, Redis drops any key when its memory is full, also samples that were ` +
        "paid for: set `maxmemory-policy noeviction`"
    })
  }
  if (typeof known === "string") return makeStore(redis, prefix, place, known)
  const fresh = crypto.randomUUID()
  if (isReadOnly) return makeStore(redis, prefix, place, fresh)
  const id = yield* Effect.catchIf(
    redis.eval(Scripts.prepare)([place.meta], fresh),
    isServerError,
    () => Effect.succeed(fresh)
  ).pipe(Effect.mapError((error) => failed(explain(error))))
  return makeStore(redis, prefix, place, id)
})

// The server's policy if it evicts samples. A user without the right to ask is trusted to know it.
const evictionPolicy = (redis: Service): Effect.Effect<string | undefined, Redis.RedisError> => {
  const ask = (pattern: RegExp, command: string, ...args: ReadonlyArray<string>) =>
    Effect.catchIf(
      Effect.map(redis.send(command, ...args), (answer) => pattern.exec(JSON.stringify(answer))?.[1]),
      isServerError,
      () => Effect.undefined
    )
  return Effect.map(
    Effect.filterOrElse(
      ask(/maxmemory_policy:([\w-]+)/, "INFO", "memory"),
      (policy) => policy !== undefined,
      () => ask(/maxmemory-policy\W+([\w-]+)/, "CONFIG", "GET", "maxmemory-policy")
    ),
    (policy) => policy?.startsWith("allkeys") ? policy : undefined
  )
}

const makeStore = (redis: Service, prefix: string, place: Place, id: string): SampleStore.Store => {
  const name = `redis ${prefix}`
  const run = <A>(
    operation: StoreError["operation"],
    effect: Effect.Effect<A, Redis.RedisError>,
    key?: Key,
    position?: number
  ): Effect.Effect<A, StoreError> =>
    Effect.mapError(effect, (error) => storeError(name, operation, explain(error), key, position))

  const { identityOf, indexOf, leasesOf, nameOf, samplesOf, sequenceOf } = makeNames(prefix)
  const prepare = redis.eval(Scripts.prepare)
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

  return SampleStore.make({
    id: `${name} ${id}`,
    describe: (key) => `redis ${samplesOf(nameOf(key))}`,
    getMany: Effect.fnUntraced(function*(key, from, count) {
      const samples: Array<Drawn> = []
      while (samples.length < count) {
        const start = from + samples.length
        const length = Math.min(count - samples.length, pageSize.read)
        const positions = Array.from({ length }, (_, i) => `${start + i}`)
        const values = yield* run(
          "get",
          redis.send<ReadonlyArray<string | null>>("HMGET", samplesOf(nameOf(key)), ...positions),
          key,
          start
        )
        for (const value of values) {
          if (value === null) return samples
          const sample = decodeSample(value)
          if (sample === undefined) {
            if (samples.length > 0) return samples
            const field = `the field ${from} of ${samplesOf(nameOf(key))}`
            return yield* storeError(name, "get", damagedSample(field), key, from)
          }
          samples.push(sample)
        }
      }
      return samples
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
    prepare: (key) => Effect.asVoid(run("prepare", prepare(Scripts.keysOf(place, sequenceOf(key)), id), key)),
    put: (key, entries, ifTaken) =>
      Effect.map(
        run(
          "put",
          put({
            place,
            sequence: sequenceOf(key),
            id,
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
    keys: ({ identity } = {}) => {
      const [first, end] = identity === undefined ? ["-", "+"] as const : rangeOfIdentity(identityOf(identity))
      return Stream.paginate(first, (from: string) =>
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
    },
    leases: makeLeases(redis, run, leasesOf)
  })
}
