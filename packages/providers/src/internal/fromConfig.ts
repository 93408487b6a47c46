import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { ApiKey as Key } from "../ModelOptions.ts"
import * as ApiKey from "./apiKey.ts"

/** The options of a model that configuration may hold. */
export interface Configurable {
  readonly baseUrl?: string | Config.Config<string> | undefined
  readonly apiKey?: Key | undefined
  readonly model?: string | Config.Config<string> | undefined
  readonly temperature?: number | Config.Config<number | undefined> | undefined
}

/** Reads the options that are not given from `LLM_BASE_URL`, `LLM_MODEL`, `LLM_TEMPERATURE` and `LLM_API_KEY`. */
export const fromConfig = Effect.fnUntraced(function*(options: Configurable) {
  return {
    baseUrl: yield* fromValueOrConfig(options.baseUrl ?? Config.NonEmptyString("LLM_BASE_URL")),
    model: yield* fromValueOrConfig(options.model ?? Config.NonEmptyString("LLM_MODEL")),
    temperature: yield* fromValueOrConfig(
      options.temperature ?? Config.Finite("LLM_TEMPERATURE").pipe(Config.withDefault(undefined))
    ),
    apiKey: yield* ApiKey.fromOptionOrVariable(options.apiKey, "LLM_API_KEY")
  }
})

const fromValueOrConfig = <A>(value: A | Config.Config<A>): Effect.Effect<A, Config.ConfigError> =>
  Config.isConfig(value) ? value : Effect.succeed(value)
