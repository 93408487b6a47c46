/**
 * A key names a sequence of samples: a distribution, a prompt, and the fork of the program that draws.
 *
 * @since 0.1.0
 */
import type { Identity } from "./Identity.ts"
import { sha256 } from "./internal/sha256.ts"

/**
 * The name of a sequence of samples.
 *
 * @category models
 * @since 0.1.0
 */
export class Key {
  /** The distribution that is sampled. */
  readonly identity: Identity
  /** The prompt, an opaque text. */
  readonly prompt: string
  /** The names of the forks that lead to the part of the program that draws, the outermost first. */
  readonly path: ReadonlyArray<string>
  #promptHash: string | undefined

  constructor(identity: Identity, prompt: string, path: ReadonlyArray<string>) {
    this.identity = identity
    this.prompt = prompt
    this.path = path
  }

  /**
   * The SHA-256 of the prompt's UTF-8 bytes, in lower-case hex. Computed once per key.
   *
   * @since 0.1.0
   */
  get promptHash(): string {
    return this.#promptHash ??= sha256(this.prompt)
  }
}
