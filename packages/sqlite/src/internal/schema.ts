import type { StatementSync } from "node:sqlite"

/** Marks a database as one of this library: `llmc`. */
export const applicationId = 0x6c6c6d63

/**
 * What leads from each version of the schema to the next one; the first starts with an empty database.
 *
 * A sample is found by the digest of its key, in one index, without the row of the key. Rows of samples are in the order
 * in which they were put, so that a put changes few pages. The text comes last: where it is long, what is before it is
 * read without it. Columns that are `any` hold texts as blobs where they have a NUL character, at which many tools end a
 * text, and numbers as integers where they are.
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
    digest blob not null,
    path text not null,
    prompt any not null,
    unique (identity, digest)
  ) strict;

  create table samples (
    id integer primary key,
    key blob not null,
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
    text any not null,
    unique (key, position)
  ) strict;

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

/** What runs each time something is read or written. */
export const statements = {
  begin: "begin immediate",
  commit: "commit",
  rollback: "rollback",
  get: `select text, iif(octet_length(text) = bytes, crc32, null), origins,
      request, request_index, model, finish_reason, created_at, elapsed, request_samples, input_tokens, output_tokens
    from samples where key = ? and position = ?`,
  positions: "select position from samples where key = ? order by position",
  /** The samples from a position on, as far as they are read. */
  held: "select position, entry_id from samples where key = ? and position >= ? order by position",
  putIdentity: "insert into identities (identity) values (?) on conflict do nothing",
  putKey: `insert into keys (identity, digest, path, prompt)
    values ((select id from identities where identity = ?), ?, ?, ?) on conflict do nothing`,
  putSample: `insert into samples (text, crc32, bytes, origins, request, request_index,
      model, finish_reason, created_at, elapsed, request_samples, input_tokens, output_tokens, key, position, entry_id)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
  remove: "delete from samples where key = ? and position = ?",
  keys: `select keys.id, identities.identity, keys.path, keys.prompt, keys.digest,
      (select count(*) from samples where samples.key = keys.digest)
    from keys join identities on identities.id = keys.identity where keys.id > ? order by keys.id limit ?`,
  prompts: `select distinct prompt from keys
    where identity = (select id from identities where identity = ?)
      and exists (select 1 from samples where samples.key = keys.digest) limit ?`,
  expireLeases: `delete from leases where expires_at <= ${now}`,
  leaseOfAnother: "select 1 from leases where key = ? and position = ? and holder <> ?",
  putLease: `insert into leases (key, position, holder, expires_at) values (?, ?, ?, cast(${now} + ? as integer))
    on conflict do update set expires_at = excluded.expires_at`,
  removeLease: "delete from leases where key = ? and position = ? and holder = ?"
}

export type Statements = { readonly [name in keyof typeof statements]: StatementSync }
