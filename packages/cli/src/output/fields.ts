/** Fields that the rows of several commands have. */
import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"

export interface IdentityFields {
  readonly model: string
  /** `null`: the provider's default. */
  readonly temperature: number | null
  readonly parameters: unknown
}

/** An identity in JSON. */
export const identityFields = ({ name, parameters, temperature }: Identity): IdentityFields => ({
  model: name,
  temperature: temperature ?? null,
  parameters: JSON.parse(parameters)
})

export interface KeyFields extends IdentityFields {
  /** The names of the forks, the outermost first. */
  readonly fork: ReadonlyArray<string>
  /** The SHA-256 of the prompt. */
  readonly hash: string
}

/** A key in JSON, without the prompt's text. */
export const keyFields = (key: Key): KeyFields => ({
  ...identityFields(key.identity),
  fork: key.path,
  hash: key.promptHash
})
