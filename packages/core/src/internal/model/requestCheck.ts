import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"

/**
 * A request of a model that names its provider, before it is sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutgoingRequest {
  readonly key: Key
  /** How many samples it asks for. */
  readonly n: number
  /** The name of the provider, as `make` got it. */
  readonly provider: string
}

/**
 * A check before each request of a program to a provider. If it dies, the request is not sent. Models without the option
 * `provider`, such as mocks, are not checked.
 *
 * @category services
 * @since 0.1.0
 */
export const RequestCheck = Context.Reference<((request: OutgoingRequest) => Effect.Effect<void>) | undefined>(
  "@llm-cache/core/RequestCheck",
  { defaultValue: () => undefined }
)
