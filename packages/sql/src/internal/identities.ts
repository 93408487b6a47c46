import type * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Row } from "./rows.ts"
import type { Tables } from "./schema.ts"

/** Counts what each identity has, in rows of `decodeIdentity`. The samples of a request have the same tokens. */
export const countIdentities = (sql: SqlClient, tables: Tables): Effect.Effect<ReadonlyArray<Row>, SqlError> =>
  sql`select k.identity_id, count(distinct k.prompt_sha256), sum(s.samples),
      count(distinct k.fork_path) filter (where k.fork_path <> '[]'), sum(s.input), sum(s.output), max(s.last)
    from ${tables.keys} k join (
      select key_sha256, sum(samples) as samples, sum(input) as input, sum(output) as output, max(last) as last
      from (
        select key_sha256, count(*) as samples, max(input_tokens) as input, max(output_tokens) as output,
          max(created_at) as last
        from ${tables.samples} group by key_sha256, request, case when request is null then position end
      ) r group by key_sha256
    ) s on s.key_sha256 = k.key_sha256
    group by k.identity_id`.values
