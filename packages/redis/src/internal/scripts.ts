import * as Redis from "effect/persistence/Redis"

/** The version of the layout of keys, and how a script says that it found another one. */
export const format = "1"
export const otherFormat = "LLMCACHEFORMAT"

/** The keys of a place that do not belong to a sequence. */
export interface Place {
  /** A hash: `format`, and `id`, which names the place. */
  readonly meta: string
  /** A hash: from digests of identities to their ids. */
  readonly identities: string
  /** A sorted set: the names of the sequences that have samples, in the order of the names. */
  readonly sequences: string
}

/** The keys of a sequence. */
export interface Sequence {
  /** Its name in `sequences`. */
  readonly name: string
  /** A hash: from positions to samples, and `key`, which has the prompt and the fork path. */
  readonly samples: string
  /** A sorted set: what each sample is put under once, by its position. */
  readonly index: string
}

/** A sample: its position, what it is put under once (nothing, where it may be put again), and its value. */
export type Row = readonly [position: number, once: string, value: string]

// The first write is of no consequence, and is refused where any would be: by the memory, a replica, the disk.
const claim = `
redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
local found = redis.call('HGET', KEYS[1], 'format')
if found ~= ARGV[1] then return redis.error_reply('${otherFormat} ' .. found) end
redis.call('HSETNX', KEYS[1], 'id', ARGV[2])
`

/**
 * Finds out whether something can be put under the keys, the first of which is `meta`. Gives a place that has no name
 * the name `id`, and returns its name.
 */
export const prepare = Redis.script(
  (keys: ReadonlyArray<string>, id: string) => [...keys, format, id],
  { numberOfKeys: (keys) => keys.length, lua: `${claim} return redis.call('HGET', KEYS[1], 'id')` }
).withReturnType<string>()

/**
 * Puts samples, and returns for each the position where it is, or an empty text.
 *
 * Redis does not undo what a script did before it failed: so every command that writes a sample is used once before the
 * first sample is written, in case it is not allowed. Numbers are formatted explicitly, for Lua writes 10^15 as 1e+15.
 */
export const put = Redis.script(
  (options: {
    readonly place: Place
    readonly sequence: Sequence
    readonly id: string
    readonly identity: readonly [digest: string, id: string]
    /** What the field `key` holds. */
    readonly key: string
    readonly ifTaken: "drop" | "append"
    readonly rows: ReadonlyArray<Row>
  }) => [
    ...keysOf(options.place, options.sequence),
    format,
    options.id,
    ...options.identity,
    options.sequence.name,
    options.key,
    options.ifTaken,
    ...options.rows.flat()
  ],
  {
    numberOfKeys: 5,
    lua: `
${claim}
local _, identities, sequences, samples, index = unpack(KEYS)
local _, _, identity, identityId, name, key, ifTaken = unpack(ARGV, 1, 7)
redis.call('HSETNX', identities, identity, identityId)
redis.call('ZADD', sequences, 0, name)
redis.call('HSETNX', samples, 'key', key)

local function text(number) return string.format('%.0f', number) end
local function isTaken(position) return redis.call('HEXISTS', samples, text(position)) == 1 end

-- As long as no position is missing, positions go up with their ranks.
local function nextFree(position)
  local first = redis.call('ZCOUNT', index, '-inf', '(' .. text(position))
  local taken, free = 0, redis.call('ZCARD', index) - first
  while free - taken > 1 do
    local middle = math.floor((taken + free) / 2)
    local score = redis.call('ZRANGE', index, first + middle, first + middle, 'WITHSCORES')[2]
    if tonumber(score) == position + middle then taken = middle else free = middle end
  end
  position = position + taken + 1
  while isTaken(position) do position = position + 1 end
  return position
end

local function put(position, once, value)
  local known = once ~= '' and tonumber(redis.call('ZSCORE', index, once) or nil)
  if known and isTaken(known) then return text(known) end
  if isTaken(position) then
    if ifTaken == 'drop' then return '' end
    position = nextFree(position)
  end
  local at = text(position)
  -- what is left of a sample that someone has deleted by hand
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', index, at, at)) do redis.call('ZREM', index, gone) end
  redis.call('HSETNX', samples, at, value)
  redis.call('ZADD', index, at, once == '' and '@' .. at or once)
  return at
end

local places = {}
for i = 8, #ARGV, 3 do places[#places + 1] = put(tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]) end
return places
`
  }
).withReturnType<ReadonlyArray<string>>()

/** The keys that putting a sample of a sequence needs. */
export const keysOf = (place: Place, { index, samples }: Sequence): ReadonlyArray<string> => [
  place.meta,
  place.identities,
  place.sequences,
  samples,
  index
]

/** Removes samples, and a sequence that has none any more. */
export const remove = Redis.script(
  (place: Place, sequence: Sequence, positions: ReadonlyArray<number>) => [
    place.sequences,
    sequence.samples,
    sequence.index,
    sequence.name,
    ...positions
  ],
  {
    numberOfKeys: 3,
    lua: `
local sequences, samples, index = unpack(KEYS)
for i = 2, #ARGV do
  redis.call('HDEL', samples, ARGV[i])
  redis.call('ZREMRANGEBYSCORE', index, ARGV[i], ARGV[i])
end
if redis.call('HLEN', samples) == redis.call('HEXISTS', samples, 'key') then
  redis.call('DEL', samples, index)
  redis.call('ZREM', sequences, ARGV[1])
end
`
  }
)

/** Takes all of the leases for a holder, or none. */
export const acquire = Redis.script(
  (leases: ReadonlyArray<string>, holder: string, expiry: number) => [...leases, holder, expiry],
  {
    numberOfKeys: (leases) => leases.length,
    lua: `
for _, lease in ipairs(KEYS) do
  local holder = redis.call('GET', lease)
  if holder and holder ~= ARGV[1] then return 0 end
end
for _, lease in ipairs(KEYS) do redis.call('SET', lease, ARGV[1], 'PX', ARGV[2]) end
return 1
`
  }
).withReturnType<number>()

/** Frees the leases that are the holder's. */
export const release = Redis.script(
  (leases: ReadonlyArray<string>, holder: string) => [...leases, holder],
  {
    numberOfKeys: (leases) => leases.length,
    lua: `
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then redis.call('DEL', lease) end
end
`
  }
)
