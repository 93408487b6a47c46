import { columns } from "@llm-cache/core/StoreRow"
import type { StatementSync } from "node:sqlite"

/** Marks a database as one of this library: `llmc`. */
export const applicationId = 0x6c6c6d63

/**
 * The steps from each version of the schema to the next. Columns that are read without the text are before it: a row with a
 * long text continues on pages of its own. `any` holds texts with a NUL as blobs, and whole numbers as integers.
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
  `,
  "alter table samples add column metadata text",
  `
  alter table keys add column prompt_sha256 blob;

  update keys set prompt_sha256 = sha256(prompt);

  create index keys_by_prompt on keys (prompt_sha256, identity);
  `
]

const now = "unixepoch('now', 'subsec') * 1000"

/**
 * Below this position, the id of a row is the number of its key and the position (20 bits): the samples of a key are
 * neighbors without an index. A stray, a sample at a later position, has a negative id and an index.
 */
export const straysFrom = 1 << 20

const written = `text, ${columns.join()}, entry_id, key, position, id`

const values = Array.from({ length: 17 }, (_, i) => `?${i + 1}`).join()

// Numbers are bound as floats, and operators on bits take them as integers.
const ofKey = "samples where id between (?1 << 20) | ?2 and (?1 << 20) | ?3"
const strays = "samples indexed by strays where id < 0 and"
const key = "(select id from keys where digest = ?)"

const samplesOf = `samples where id between keys.id << 20 and (keys.id << 20) | ${straysFrom - 1}`
const straysOf = `${strays} key = keys.id`

const listed = `keys.id, identities.identity, keys.path, keys.prompt, keys.digest,
      (select count(*) from ${samplesOf}) + (select count(*) from ${straysOf})`
// By the index of the order: an index of identities would sort the rest at each page.
const listedKeys = `${listed} from keys cross join identities on identities.id = keys.identity`

/** Whether other samples in a row's request may have the same tokens. */
const isShared = "request_samples > 1 and request is not null"

/** The statements that read a version of the schema, prepared once for each connection. */
export const readStatements = (version: number) => {
  // SQLite compares the length, because the driver ends a text at a NUL. -1 is no checksum.
  const [, , ...others] = version < 2 ? [...columns.slice(0, -1), "null"] : columns
  // Before, a prompt's hash has to be computed.
  const keysByPrompt = version < 3
    ? "(select *, sha256(prompt) as prompt_sha256 from keys) keys"
    : "keys indexed by keys_by_prompt"
  const sample = `text, null, iif(octet_length(text) = bytes, crc32, -1), ${others.join()}`
  return {
    key: "select id from keys where digest = ?",
    sample: `select ${sample} from samples where id = (${key} << 20) | ?`,
    stray: `select ${sample} from ${strays} key = ${key} and position = ?`,
    samples: `select ${sample}, position from ${ofKey} order by id`,
    positions: `select position from ${ofKey} order by id`,
    strayPositions: `select position from ${strays} key = ? order by position`,
    keys: `select ${listedKeys} where keys.id > ? order by keys.id limit ?`,
    /** The digest of a key begins with the digest of its identity. */
    keysOfIdentity: `select ${listedKeys} where keys.digest > ? and keys.digest <= ? and identities.identity = ?
      order by keys.digest limit ?`,
    keysOfPrompt: `select ${listed}, prompt_sha256, keys.identity
      from ${keysByPrompt} cross join identities on identities.id = keys.identity
      where (prompt_sha256, keys.identity, keys.id) > (?1, ?2, ?3) and prompt_sha256 <= ?4
        and identities.identity = ifnull(?5, identities.identity)
      order by prompt_sha256, keys.identity, keys.id limit ?6`
  }
}

/** The statements that count what identities have. They read the whole of an index or a table. */
export const countStatements = (version: number) => {
  // In the order of the rows, which is that of the samples.
  const [column, byPrompt] = version < 3 ? ["prompt", "keys"] : ["prompt_sha256", "keys indexed by keys_by_prompt"]
  return {
    hasStrays: "select exists (select 1 from samples indexed by strays where id < 0)",
    /** By identity and path: the keys, the samples, the tokens without those of shared requests, and the time of the last. */
    counts: (hasStrays: boolean) =>
      `select identities.identity, path = '[]', keys, samples, input, output, last
      from (select keys.identity as id, keys.path, count(distinct keys.id) as keys, count(*) as samples,
          sum(iif(${isShared}, 0, input_tokens)) as input, sum(iif(${isShared}, 0, output_tokens)) as output,
          max(created_at) as last
        from keys not indexed cross join samples
          on samples.id between keys.id << 20 and (keys.id << 20) | ${straysFrom - 1}
          ${hasStrays ? "or (samples.id < 0 and samples.key = keys.id)" : ""}
        group by keys.identity, keys.path)
      join identities using (id)`,
    keys: "select count(*) from keys",
    /** By identity: the tokens of requests with several samples. */
    sharedTokens: `select identities.identity, sum(input), sum(output)
      from (select key, max(input_tokens) as input, max(output_tokens) as output
        from samples where ${isShared} group by key, request)
      join keys on keys.id = key join identities on identities.id = keys.identity group by identities.id`,
    /** By identity: the prompts. Looks for samples only if keys without samples exist. */
    prompts: (areAllUsed: boolean) =>
      `select identities.identity, count(*)
      from (select distinct ${column}, identity as id from ${byPrompt}
        ${areAllUsed ? "" : `where exists (select 1 from ${samplesOf}) or exists (select 1 from ${straysOf})`})
      join identities using (id) group by id`
  }
}

/** The statements that write the latest version of the schema. */
export const writeStatements = {
  begin: "begin immediate",
  commit: "commit",
  rollback: "rollback",
  /** Positions and entry ids from a position on, as far as the caller reads them. */
  ids: `select position, entry_id from ${ofKey} order by id`,
  strayIds: `select position, entry_id from ${strays} key = ? and position >= ? order by position`,
  putIdentity: "insert into identities (identity) values (?)",
  /** Beyond the numbers of all samples, so that a new key never adopts the samples of a key deleted by hand. */
  putKey: `insert into keys (id, identity, digest, path, prompt, prompt_sha256) select
      max(
        coalesce((select max(id) from keys), 0),
        coalesce((select max(id) from samples) >> 20, 0),
        coalesce((select max(key) from samples indexed by strays where id < 0), 0)
      ) + 1,
      id, ?2, ?3, ?4, ?5 from identities where identity = ?1 returning id`,
  putSample: `insert into samples (${written}) values (${values}, (?16 << 20) | ?17) on conflict do nothing`,
  putStray: `insert into samples (${written}) values (${values},
    min(coalesce((select min(id) from samples), 0), 0) - 1) on conflict do nothing`,
  removeSample: `delete from samples where id = (${key} << 20) | ?`,
  removeStray: `delete from ${strays} key = ${key} and position = ?`,
  expireLeases: `delete from leases where expires_at <= ${now}`,
  leaseOfAnother: "select 1 from leases where key = ? and position = ? and holder <> ?",
  putLease: `insert into leases (key, position, holder, expires_at) values (?, ?, ?, cast(${now} + ? as integer))
    on conflict do update set expires_at = excluded.expires_at`,
  removeLease: "delete from leases where key = ? and position = ? and holder = ?"
}

type Prepared<Statements> = { readonly [name in keyof Statements]: StatementSync }

export type ReadStatements = Prepared<ReturnType<typeof readStatements>>

export type Statements = ReadStatements & Prepared<typeof writeStatements>
