/**
 * Our server, in a process of its own. Its arguments are its place and the URL of its upstream, and its first line of output is
 * its URL.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { replaying, urlOf } from "./replaying.ts"

const [place = "", upstream = ""] = process.argv.slice(2)

Effect.runFork(
  Effect.andThen(Effect.flatMap(urlOf, Console.log), Effect.never).pipe(Effect.provide(replaying(place, upstream)))
)

// The bytes of memory that it holds.
process.on("message", () => {
  // The first one leaves what only weak references hold.
  globalThis.gc?.()
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  process.send?.(heapUsed + external)
})
