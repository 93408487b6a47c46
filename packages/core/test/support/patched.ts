import { Effect } from "effect"
import NodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

/** Runs an effect while functions of the file system are replaced. */
export const patched = <Name extends keyof typeof NodeFs>(
  names: ReadonlyArray<Name>,
  patch: (name: Name, original: (...args: Array<any>) => unknown) => (...args: Array<any>) => unknown
) =>
<A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const originals = names.map((name) => [name, NodeFs[name]] as const)
      for (const [name, original] of originals) {
        Object.assign(NodeFs, { [name]: patch(name, original as () => unknown) })
      }
      syncBuiltinESMExports()
      return Object.fromEntries(originals)
    }),
    () => self,
    (originals) =>
      Effect.sync(() => {
        Object.assign(NodeFs, originals)
        syncBuiltinESMExports()
      })
  )
