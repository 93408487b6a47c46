import type { Drawn } from "../../Sample.ts"
import type { Provenance } from "./metadataLine.ts"

/** A sample that reads, or parses, its metadata when they are first asked for. */
export const lazySample = (text: string, read: () => Provenance): Drawn => {
  let provenance: Provenance | undefined
  const known = () => provenance ??= read()
  // Own getters, which a class would not have: `{ ...sample }`, JSON and comparisons see them.
  return {
    text,
    get metadata() {
      return known().metadata
    },
    get origins() {
      return known().origins
    }
  }
}
