import * as Trace from "@llm-cache/core/Trace"
import * as Inspector from "@llm-cache/inspector/Inspector"
import * as Server from "@llm-cache/server/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The pages of the inspector, for the server of a cache. */
export const inspectorPages = (cache: string) =>
  Layer.unwrap(
    Effect.map(Server.Server, ({ stopping }) => Inspector.layer({ directory: Trace.directoryOf(cache), stopping }))
  )
