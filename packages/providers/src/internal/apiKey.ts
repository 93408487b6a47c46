import { BadKey } from "@llm-cache/core/SampleError"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as SchemaIssue from "effect/SchemaIssue"

/** A key that is looked up when it is needed, so that a program that sends no request needs none. */
export interface ApiKey {
  /** What it is set by, for messages. */
  readonly name: string
  readonly resolve: Effect.Effect<Redacted.Redacted | undefined, BadKey>
}

/** The key of a server that needs none. */
export const none: ApiKey = { name: "`apiKey`", resolve: Effect.undefined }

export const fromValue = (key: Redacted.Redacted): ApiKey => ({ name: "`apiKey`", resolve: check(key, "`apiKey`") })

/** Remembers where configuration came from when the layer was built, and reads it for each purchase. */
export const fromConfig = (config: Config.Config<Redacted.Redacted>, name = "the API key"): Effect.Effect<ApiKey> =>
  Effect.map(ConfigProvider.ConfigProvider, (provider) => ({
    name,
    resolve: Effect.suspend(() => config.parse(provider)).pipe(
      Effect.mapError(missing),
      Effect.flatMap((key) => check(key, name))
    )
  }))

export const fromVariable = (variable: string): Effect.Effect<ApiKey> => fromConfig(Config.Redacted(variable), variable)

const check = (key: Redacted.Redacted, name: string): Effect.Effect<Redacted.Redacted, BadKey> => {
  const text = Redacted.value(key).trim()
  if (text === "") return Effect.fail(new BadKey({ description: `no API key: ${name} is empty` }))
  return /^[\x20-\x7e]*$/.test(text) ? Effect.succeed(Redacted.make(text)) : Effect.fail(
    new BadKey({ description: `${name} has a character that no HTTP header can hold: set it to the key alone` })
  )
}

// Only the names are taken from the error: its message may quote a value.
const missing = ({ cause }: Config.ConfigError): BadKey => {
  if (cause._tag === "SourceError") return new BadKey({ description: `no API key: ${cause.message}` })
  const variables = format(cause.issue).issues.map(({ path }) => path?.map(String).join("_") ?? "")
  return new BadKey({ description: `no API key: set ${variables.join(" and ")}, or give \`apiKey\`` })
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()
