import { DirectoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import { makeDirectory } from "./server.ts"
import { makeUpstream, upstreams } from "./upstream.ts"

/** An upstream, and the options and the store of servers with traces in one directory. */
export const makeTraced = Effect.gen(function*() {
  const upstream = yield* makeUpstream()
  const directory = yield* makeDirectory
  return {
    upstream,
    directory,
    options: { ...upstreams(upstream.url), trace: { directory } },
    store: DirectoryStore.layer(directory)
  }
})
