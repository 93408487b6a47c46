import * as Redis from "effect/persistence/Redis"
import { format, otherFormat, type Place, type Sequence } from "./schema.ts"

/** A sample: its position, the name of its entry (empty if it has none), and its value. */
export type Row = readonly [position: number, entry: string, value: string]

// The first write changes nothing, and Redis refuses it if it refuses any: a full memory, a replica, a full disk.
const claim = `
redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
local found = redis.call('HGET', KEYS[1], 'format')
if found ~= ARGV[1] then return redis.error_reply('${otherFormat} ' .. found) end
redis.call('HSETNX', KEYS[1], 'id', ARGV[2])
`

/** Checks that the keys, from `meta` on, can be written. Names a new place `id`, and returns its name. */
export const prepare = Redis.script(
  (keys: ReadonlyArray<string>, id: string) => [...keys, format, id],
  { numberOfKeys: (keys) => keys.length, lua: `${claim} return redis.call('HGET', KEYS[1], 'id')` }
).withReturnType<string>()

/** Puts samples, and returns their positions. Redis undoes no failed script, so each command is tried before a sample. */
export const put = Redis.script(
  (options: {
    readonly place: Place
    readonly sequence: Sequence
    readonly id: string
    readonly identity: readonly [digest: string, id: string]
    /** The value of the field `key`. */
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

-- Lua writes 10^15 as 1e+15.
local function text(number) return string.format('%.0f', number) end
local function isTaken(position) return redis.call('HEXISTS', samples, text(position)) == 1 end

-- Without a gap, positions rise with their ranks.
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

local function put(position, entry, value)
  local known = entry ~= '' and tonumber(redis.call('ZSCORE', index, entry) or nil)
  if known and isTaken(known) then return text(known) end
  if isTaken(position) then
    if ifTaken == 'drop' then return '' end
    position = nextFree(position)
  end
  local at = text(position)
  -- what is left of a sample that someone has deleted by hand
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', index, at, at)) do redis.call('ZREM', index, gone) end
  redis.call('HSETNX', samples, at, value)
  redis.call('ZADD', index, at, entry == '' and '@' .. at or entry)
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
