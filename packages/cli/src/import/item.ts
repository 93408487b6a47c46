import type * as Identity from "@llm-cache/core/Identity"
import type { Sample } from "@llm-cache/core/Sample"
import * as Data from "effect/Data"

/** A protocol of `@llm-cache/server`, or Ollama's own, whose plain requests can be imported. */
export type ProtocolName = "chat" | "responses" | "messages" | "completions" | "ollama"

/** A request and its answer, as a program and a provider sent them. */
export interface Exchange {
  readonly kind: "exchange"
  /** Where the file has it, such as `line 12`. */
  readonly where: string
  readonly protocol: ProtocolName
  /** The JSON of the request. */
  readonly request: unknown
  /** The features that the header `anthropic-beta` turns on. */
  readonly betas?: string | undefined
  readonly status: number
  /** The body of the answer. */
  readonly answer: string | Uint8Array<ArrayBuffer>
  /** The `content-encoding` of the body. */
  readonly encoding?: string | undefined
  /** A name of the answer, for answers without an id. */
  readonly name?: string | undefined
  /** The time of the answer, in milliseconds since the epoch. */
  readonly createdAt?: number | undefined
  /** How long the request took, in milliseconds. */
  readonly elapsed?: number | undefined
  /** The key that was requested, if it is known. By default it follows from the request. */
  readonly target?: Target | undefined
}

/** The samples of one request, from a log that keeps no bodies. */
export interface Recorded extends Target {
  readonly kind: "recorded"
  readonly where: string
  readonly prompt: string
  readonly samples: ReadonlyArray<Sample>
  /** Names the answer, such as the id of its row. */
  readonly name?: string | undefined
}

/** The identity and the forks of a key. */
export interface Target {
  readonly identity: Identity.Options & { readonly system?: string | undefined }
  readonly path?: ReadonlyArray<string> | undefined
}

/** A request that is left out: no cache could answer it. */
export interface Skipped {
  readonly kind: "skipped"
  readonly where: string
  readonly reason: string
}

/** A sample that cannot be read. */
export interface Damaged {
  readonly kind: "damaged"
  readonly where: string
  readonly reason: string
}

export type Item = Exchange | Recorded | Skipped | Damaged

export const skipped = (where: string, reason: string): Skipped => ({ kind: "skipped", where, reason })

export const damaged = (where: string, reason: string): Damaged => ({ kind: "damaged", where, reason })

/** A file cannot be imported. The message says what to do. */
export class ImportError extends Data.TaggedError("ImportError")<{
  readonly file: string
  readonly description: string
}> {
  override get message(): string {
    return `${this.file}: ${this.description}`
  }
}
