import { Identity, Key, type Sample, type SampleError, type SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redis from "effect/persistence/Redis"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import { explain, type Fields, isRefusal, newer, storeError } from "./redisErrors.ts"
import { decode, decodeKey, encode, encodeKey } from "./row.ts"
import * as Scripts from "./scripts.ts"

type StoreError = SampleError.StoreError
type Service = Redis.Redis["Service"]

/** How many names of sequences are read at a time. */
const pageSize = 100

/** How many samples are read at a time. */
const readSize = 256

const digest = (text: string): string => Crypto.hash("sha256", text, "hex").slice(0, 32)

// A name is the digest of the identity, the hash of the prompt and, for a fork, the digest of its path.
const identityIn = (name: string): string => name.slice(0, 32)
const promptIn = (name: string): string => name.slice(0, 32 + 1 + 64)

/**
 * Opens the samples under a prefix. Where there are none yet, the place is given its name, by which stores know that
 * they are the same one; not for who only replicates, or may not write.
 */
export const open = Effect.fnUntraced(function*(
  redis: Service,
  prefix: string,
  replicates: boolean
): Effect.fn.Return<SampleStore.Store, StoreError> {
  const failed = (fields: Fields) => storeError(`redis ${prefix}`, "open", fields)
  const place: Scripts.Place = {
    meta: `${prefix}:meta`,
    identities: `${prefix}:identities`,
    sequences: `${prefix}:sequences`
  }
  const meta = redis.send<ReadonlyArray<string | null>>("HMGET", place.meta, "format", "id")
  const [[format, known], policy] = yield* Effect.mapError(
    Effect.all([meta, evictionPolicy(redis)], { concurrency: "unbounded" }),
    (error) => failed(explain(error))
  )
  if (typeof format === "string" && format !== Scripts.format) return yield* failed(newer(format))
  if (policy !== undefined) {
    return yield* failed({
      kind: "Unavailable",
      description: `by its policy ${policy}, Redis drops any key when its memory is full, samples that were paid for ` +
        "too: set `maxmemory-policy noeviction`"
    })
  }
  if (typeof known === "string") return makeStore(redis, prefix, place, known)
  const fresh = crypto.randomUUID()
  if (replicates) return makeStore(redis, prefix, place, fresh)
  const id = yield* Effect.catchIf(
    redis.eval(Scripts.prepare)([place.meta], fresh),
    isRefusal,
    () => Effect.succeed(fresh)
  ).pipe(Effect.mapError((error) => failed(explain(error))))
  return makeStore(redis, prefix, place, id)
})

// A policy of the server by which samples may be evicted. Who may not ask for it is trusted to know it.
const evictionPolicy = (redis: Service): Effect.Effect<string | undefined, Redis.RedisError> => {
  const ask = (pattern: RegExp, command: string, ...args: ReadonlyArray<string>) =>
    Effect.catchIf(
      Effect.map(redis.send(command, ...args), (answer) => pattern.exec(JSON.stringify(answer))?.[1]),
      isRefusal,
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

const makeStore = (redis: Service, prefix: string, place: Scripts.Place, id: string): SampleStore.Store => {
  const store = `redis ${prefix}`
  const [prepare, put, remove, acquire, release] = [
    redis.eval(Scripts.prepare),
    redis.eval(Scripts.put),
    redis.eval(Scripts.remove),
    redis.eval(Scripts.acquire),
    redis.eval(Scripts.release)
  ]
  const identities = new WeakMap<Identity.Identity, string>()
  // All keys of one fork have one path.
  const paths = new WeakMap<ReadonlyArray<string>, string>()

  const failing = (operation: StoreError["operation"], key?: Key.Key, position?: number) => (error: Redis.RedisError) =>
    storeError(store, operation, explain(error), key, position)

  const digestOf = (identity: Identity.Identity): string => {
    let known = identities.get(identity)
    if (known === undefined) identities.set(identity, known = digest(identity.id))
    return known
  }

  const suffixOf = (path: ReadonlyArray<string>): string => {
    if (path.length === 0) return ""
    let known = paths.get(path)
    if (known === undefined) paths.set(path, known = `:${digest(JSON.stringify(path))}`)
    return known
  }

  // In this order, so that the sequences of an identity, and in these the ones of a prompt, are one behind the other.
  const nameOf = (key: Key.Key): string => `${digestOf(key.identity)}:${key.promptHash}${suffixOf(key.path)}`
  const samplesOf = (name: string) => `${prefix}:samples:${name}`
  const indexOf = (name: string) => `${prefix}:positions:${name}`
  const sequenceOf = (key: Key.Key): Scripts.Sequence => {
    const name = nameOf(key)
    return { name, samples: samplesOf(name), index: indexOf(name) }
  }
  const leasesOf = (key: Key.Key, positions: ReadonlyArray<number>) => {
    const name = nameOf(key)
    return positions.map((position) => `${prefix}:lease:${name}:${position}`)
  }

  const damaged = (key: Key.Key, position: number): StoreError =>
    storeError(
      store,
      "get",
      {
        kind: "Damaged",
        description: `the field ${position} of ${samplesOf(nameOf(key))} is not what was stored. Restore it, or ` +
          "`remove` the sample to have its position drawn again"
      },
      key,
      position
    )
  const read = (key: Key.Key, position: number, value: string | null): Effect.Effect<
    ReturnType<typeof decode>,
    StoreError
  > => {
    if (value === null) return Effect.undefined
    const drawn = decode(value)
    return drawn === undefined ? Effect.fail(damaged(key, position)) : Effect.succeed(drawn)
  }

  // At most so many names, in order, behind a name.
  const namesBehind = (name: string, to: string, limit: number, operation: StoreError["operation"]) =>
    Effect.mapError(
      redis.send<ReadonlyArray<string>>("ZRANGEBYLEX", place.sequences, name, to, "LIMIT", "0", `${limit}`),
      failing(operation)
    )

  // What a name stands for; nothing, where its samples are gone.
  const listed = (name: string, identityId: string | null): Effect.Effect<
    Result.Result<SampleStore.Listed, StoreError> | undefined,
    Redis.RedisError
  > => {
    const damaged = Result.fail(storeError(store, "keys", {
      kind: "Damaged",
      description:
        `the prompt of ${samplesOf(name)}, or its identity in ${place.identities}, is not what was stored: ` +
        "restore them, or delete the key"
    }))
    const both = Effect.all([
      redis.send<string | null>("HGET", samplesOf(name), "key"),
      redis.send<number>("ZCARD", indexOf(name))
    ], { concurrency: "unbounded" })
    return Effect.matchEffect(both, {
      onFailure: (error) => explain(error).kind === "Damaged" ? Effect.succeed(damaged) : Effect.fail(error),
      onSuccess: ([value, samples]) => {
        if (samples === 0) return Effect.undefined
        const identity = identityId === null ? undefined : Identity.fromId(identityId)
        const found = value === null ? undefined : decodeKey(value)
        if (identity === undefined || found === undefined) return Effect.succeed(damaged)
        const [prompt, ...path] = found
        const key = new Key.Key(identity, prompt, path)
        return Effect.succeed(nameOf(key) === name ? Result.succeed({ key, samples }) : damaged)
      }
    })
  }

  const page = (names: ReadonlyArray<string>) => {
    const identities = [...new Set(names.map(identityIn))]
    return Effect.flatMap(
      redis.send<ReadonlyArray<string | null>>("HMGET", place.identities, ...identities),
      (ids) => {
        const idOf = new Map(identities.map((identity, i) => [identity, ids[i] ?? null]))
        return Effect.forEach(names, (name) => listed(name, idOf.get(identityIn(name))!), { concurrency: pageSize })
      }
    )
  }

  return {
    id: `${store} ${id}`,
    describe: (key) => `redis ${samplesOf(nameOf(key))}`,
    get: (key, position) =>
      Effect.matchEffect(redis.send<string | null>("HGET", samplesOf(nameOf(key)), `${position}`), {
        onSuccess: (value) => read(key, position, value),
        onFailure: (error) => Effect.fail(failing("get", key, position)(error))
      }),
    getMany: Effect.fnUntraced(function*(key, from, count) {
      const samples: Array<Sample.Drawn> = []
      while (samples.length < count) {
        const start = from + samples.length
        const positions = Array.from({ length: Math.min(count - samples.length, readSize) }, (_, i) => `${start + i}`)
        const values = yield* Effect.mapError(
          redis.send<ReadonlyArray<string | null>>("HMGET", samplesOf(nameOf(key)), ...positions),
          failing("get", key, start)
        )
        for (const value of values) {
          const drawn = value === null ? undefined : decode(value)
          if (drawn !== undefined) samples.push(drawn)
          else if (value === null || samples.length > 0) return samples
          else return yield* damaged(key, from)
        }
      }
      return samples
    }),
    positions: (key) =>
      Effect.mapBoth(
        redis.send<ReadonlyArray<unknown>>("ZRANGE", indexOf(nameOf(key)), "0", "-1", "WITHSCORES"),
        {
          // pairs, or one behind the other
          onSuccess: (answer) => answer.flat().flatMap((score, i) => i % 2 === 0 ? [] : Number(score)),
          onFailure: failing("positions", key)
        }
      ),
    prepare: (key) =>
      Effect.asVoid(Effect.mapError(prepare(Scripts.keysOf(place, sequenceOf(key)), id), failing("prepare", key))),
    put: (key, entries, ifTaken) =>
      Effect.mapBoth(
        put({
          place,
          sequence: sequenceOf(key),
          id,
          identity: [digestOf(key.identity), key.identity.id],
          key: encodeKey(key.prompt, key.path),
          ifTaken,
          rows: entries.map(({ drawn, id, position }) => [position, id === undefined ? "" : digest(id), encode(drawn)])
        }),
        {
          onSuccess: (places) => places.map((at) => at === "" ? undefined : Number(at)),
          onFailure: failing("put", key, entries[0].position)
        }
      ),
    remove: (key, positions) =>
      Effect.mapError(remove(place, sequenceOf(key), positions), failing("remove", key, positions[0])),
    keys: Stream.paginate(
      "-",
      (from: string) =>
        Effect.flatMap(
          namesBehind(from, "+", pageSize, "keys"),
          (names) =>
            names.length === 0 ? Effect.succeed([[], Option.none()]) : Effect.mapBoth(page(names), {
              onSuccess: (keys) => [
                keys.filter((key) => key !== undefined),
                names.length < pageSize ? Option.none() : Option.some(`(${names.at(-1)!}`)
              ],
              onFailure: failing("keys")
            })
        )
    ),
    prompts: Effect.fnUntraced(function*(identity, limit) {
      const mine = digestOf(identity)
      const prompts: Array<string> = []
      for (let from = `[${mine}:`; prompts.length < limit;) {
        const names = yield* namesBehind(from, `(${mine};`, Math.min(limit - prompts.length, pageSize), "prompts")
        if (names.length === 0) break
        // one name of each prompt
        const distinct = names.filter((name, i) => i === 0 || promptIn(name) !== promptIn(names[i - 1]!))
        const found = yield* Effect.mapError(page(distinct), failing("prompts"))
        prompts.push(
          ...found.flatMap((key) => key !== undefined && Result.isSuccess(key) ? key.success.key.prompt : [])
        )
        // behind all forks of the last prompt
        from = `(${promptIn(names.at(-1)!)};`
      }
      return prompts
    }),
    leases: {
      acquire: (key, positions, holder, expiry) =>
        Effect.mapBoth(acquire(leasesOf(key, positions), holder, Math.ceil(expiry)), {
          onSuccess: (isOurs) => isOurs === 1,
          onFailure: failing("lease", key, positions[0])
        }),
      release: (key, positions, holder) =>
        Effect.mapError(release(leasesOf(key, positions), holder), failing("lease", key, positions[0]))
    }
  }
}
