import { fromId } from "@llm-cache/core/Identity"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { ListedIdentity } from "@llm-cache/core/SampleStore"
import { damagedKey, storeError } from "@llm-cache/core/StoreFault"
import * as Result from "effect/Result"
import type { Connections } from "./connection.ts"
import * as Samples from "./samples.ts"
import { countStatements } from "./schema.ts"

interface Count {
  prompts: number
  samples: number
  forks: number
  inputTokens: number
  outputTokens: number
  last: number | undefined
}

/** Counts what the identities of a file have. It takes no memory for keys or samples. */
export const countIdentities = (
  store: string,
  connections: Connections
): ReadonlyArray<Result.Result<ListedIdentity, StoreError>> => {
  const counts = new Map<unknown, Count>()
  connections.query((query, version) => {
    const statements = countStatements(version)
    const [[hasStrays] = []] = [...Samples.arrays(query(statements.hasStrays))]
    let hasForks = false
    let used = 0
    for (const row of Samples.arrays(query(statements.counts(hasStrays !== 0)))) {
      const [id, isRoot, keys, samples, inputTokens, outputTokens, last] = row
      let count = counts.get(id)
      if (count === undefined) {
        counts.set(
          id,
          count = { prompts: 0, samples: 0, forks: 0, inputTokens: 0, outputTokens: 0, last: undefined }
        )
      }
      used += Number(keys)
      // Without forks, each key is another prompt.
      count.prompts += Number(keys)
      count.samples += Number(samples)
      count.inputTokens += Number(inputTokens)
      count.outputTokens += Number(outputTokens)
      if (last !== null) count.last = Math.max(count.last ?? 0, Number(last))
      if (isRoot !== 1) {
        count.forks++
        hasForks = true
      }
    }
    for (const [id, inputTokens, outputTokens] of Samples.arrays(query(statements.sharedTokens))) {
      const count = counts.get(id)
      if (count === undefined) continue
      count.inputTokens += Number(inputTokens)
      count.outputTokens += Number(outputTokens)
    }
    if (!hasForks) return
    const [[keys] = []] = [...Samples.arrays(query(statements.keys))]
    for (const [id, prompts] of Samples.arrays(query(statements.prompts(used === Number(keys))))) {
      const count = counts.get(id)
      if (count !== undefined) count.prompts = Number(prompts)
    }
  })
  return Array.from(counts, ([id, count]) => {
    const identity = typeof id === "string" ? fromId(id) : undefined
    return identity === undefined
      ? Result.fail(storeError(store, "keys", damagedKey(`the row in \`identities\` with the identity ${String(id)}`)))
      : Result.succeed({ identity, ...count })
  })
}
