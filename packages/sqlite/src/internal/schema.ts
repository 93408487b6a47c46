import type { StatementSync } from "node:sqlite"

/** Marks a database as one of this library: `llmc`. */
export const applicationId = 0x6c6c6d63

/**
 * What leads from each version of the schema to the next one; the first starts with an empty database.
 *
 * A key has a number, in the order in which keys were put, and the id of a sample's row is made of it and of the
 * position (20 bits). So the samples of a key are beside one another, without an index, a new key's behind all others, and
 * what is looked up by a digest are keys alone. A sample whose position is longer is a stray: its id is below 0, and it
 * has an index. A key's number is above all that samples have, so that those of a key which was deleted by hand are never
 * taken for another one's.
 *
 * The text comes last: where it is long, what is before it is read without it. Columns that are `any` hold texts as blobs
 * where they have a NUL character, at which many tools end a text, and numbers as integers where they are.
 */
export const migrations: ReadonlyArray<string> = [
  `
  create table identities (
    id integer primary key,
    identity text not null unique
  ) strict;

  create table keys (
    id integer primary key,
    identity integer not null references identities,
    digest blob not null unique,
    path text not null,
    prompt any not null
  ) strict;

  create table samples (
    id integer primary key,
    key integer not null,
    position integer not null,
    entry_id any,
    request any,
    request_index any,
    model any,
    finish_reason any,
    created_at any,
    elapsed any,
    request_samples any,
    input_tokens any,
    output_tokens any,
    origins text,
    crc32 integer not null,
    bytes integer not null,
    text any not null
  ) strict;

  create unique index strays on samples (key, position) where id < 0;

  create table leases (
    key blob not null,
    position integer not null,
    holder text not null,
    expires_at integer not null,
    primary key (key, position)
  ) strict, without rowid;

  create index leases_by_expiry on leases (expires_at);
  `
]

const now = "unixepoch('now', 'subsec') * 1000"

/** How many positions of a key have an id that is made of them: 20 bits. */
export const own = 1 << 20

const columns = `text, crc32, bytes, origins, request, request_index, model, finish_reason, created_at, elapsed,
      request_samples, input_tokens, output_tokens, entry_id, key, position, id`

const values = Array.from({ length: 16 }, (_, i) => `?${i + 1}`).join()

const sample = `text, iif(octet_length(text) = bytes, crc32, null), origins, request, request_index,
      model, finish_reason, created_at, elapsed, request_samples, input_tokens, output_tokens`

// Numbers are bound as floats, which operators on bits take as the integers that they are.
const ofKey = "samples where id between (?1 << 20) | ?2 and (?1 << 20) | ?3"
const strays = "samples indexed by strays where id < 0 and"
const key = "(select id from keys where digest = ?)"

const ownOfKeys = `from samples where id between keys.id << 20 and (keys.id << 20) | ${own - 1}`
const straysOfKeys = `from ${strays} key = keys.id`

/** What runs each time something is read or written. */
export const statements = {
  begin: "begin immediate",
  commit: "commit",
  rollback: "rollback",
  key: "select id from keys where digest = ?",
  get: `select ${sample} from samples where id = (${key} << 20) | ?`,
  getStray: `select ${sample} from ${strays} key = ${key} and position = ?`,
  getMany: `select ${sample}, position from ${ofKey} order by id`,
  positions: `select position from ${ofKey} order by id`,
  strayPositions: `select position from ${strays} key = ? order by position`,
  /** The samples from a position on, as far as they are read. */
  held: `select position, entry_id from ${ofKey} order by id`,
  heldStrays: `select position, entry_id from ${strays} key = ? and position >= ? order by position`,
  putIdentity: "insert into identities (identity) values (?)",
  /** Nothing where the identity is not there. */
  putKey: `insert into keys (id, identity, digest, path, prompt) select
      max(
        coalesce((select max(id) from keys), 0),
        coalesce((select max(id) from samples) >> 20, 0),
        coalesce((select max(key) from samples indexed by strays where id < 0), 0)
      ) + 1,
      id, ?2, ?3, ?4 from identities where identity = ?1 returning id`,
  putSample: `insert into samples (${columns}) values (${values}, (?15 << 20) | ?16) on conflict do nothing`,
  putStray: `insert into samples (${columns}) values (${values},
    min(coalesce((select min(id) from samples), 0), 0) - 1) on conflict do nothing`,
  remove: `delete from samples where id = (${key} << 20) | ?`,
  removeStray: `delete from ${strays} key = ${key} and position = ?`,
  keys: `select keys.id, identities.identity, keys.path, keys.prompt, keys.digest,
      (select count(*) ${ownOfKeys}) + (select count(*) ${straysOfKeys})
    from keys join identities on identities.id = keys.identity where keys.id > ? order by keys.id limit ?`,
  /** Digests begin with that of the identity. */
  prompts: `select distinct prompt from keys
    where digest between ? and ? and identity = (select id from identities where identity = ?)
      and (exists (select 1 ${ownOfKeys}) or exists (select 1 ${straysOfKeys})) limit ?`,
  expireLeases: `delete from leases where expires_at <= ${now}`,
  leaseOfAnother: "select 1 from leases where key = ? and position = ? and holder <> ?",
  putLease: `insert into leases (key, position, holder, expires_at) values (?, ?, ?, cast(${now} + ? as integer))
    on conflict do update set expires_at = excluded.expires_at`,
  removeLease: "delete from leases where key = ? and position = ? and holder = ?"
}

export type Statements = { readonly [name in keyof typeof statements]: StatementSync }
