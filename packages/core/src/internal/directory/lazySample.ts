import type { Drawn } from "../../Sample.ts"
import { type Provenance, provenanceOf } from "./metadataLine.ts"

/** The line of a sample in the metadata log, or how to read it. */
type Line = string | undefined | (() => string | undefined)

/** A sample that reads, or parses, its metadata when they are first asked for. */
export class LazySample implements Drawn {
  readonly text: string
  declare readonly metadata: Drawn["metadata"]
  declare readonly origins: Drawn["origins"]
  readonly #line: Line
  #provenance: Provenance | undefined

  constructor(text: string, line: Line) {
    this.text = text
    this.#line = line
    // Own properties, and not those of the class: `{ ...sample }`, JSON and comparisons see them.
    Object.defineProperty(this, "metadata", metadata)
    Object.defineProperty(this, "origins", origins)
  }

  static provenanceOf(sample: LazySample): Provenance {
    const line = sample.#line
    return sample.#provenance ??= provenanceOf(typeof line === "function" ? line() : line)
  }
}

// Shared by all samples: an object literal with getters takes six times as long (benchmark row `directory-prompts`).
const metadata = {
  enumerable: true,
  get(this: LazySample) {
    return LazySample.provenanceOf(this).metadata
  }
}

const origins = {
  enumerable: true,
  get(this: LazySample) {
    return LazySample.provenanceOf(this).origins
  }
}
