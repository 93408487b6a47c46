import { BadKey } from "@llm-cache/core/SampleError"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as SchemaIssue from "effect/SchemaIssue"

/** An API key that each request looks up, so that a program without requests needs no key. */
export interface ApiKey {
  /** The option or variable that holds the key, for error messages. */
  readonly name: string
  readonly resolve: Effect.Effect<Redacted.Redacted | undefined, BadKey>
}

/** For a server without keys. */
export const none: ApiKey = { name: "`apiKey`", resolve: Effect.undefined }

export const fromValue = (key: Redacted.Redacted): ApiKey => ({ name: "`apiKey`", resolve: check(key, "`apiKey`") })

/** Reads the key for each request, from the configuration that was provided when the layer was built. */
export const fromConfig = (config: Config.Config<Redacted.Redacted>, name = "the API key"): Effect.Effect<ApiKey> =>
  Effect.map(ConfigProvider.ConfigProvider, (provider) => ({
    name,
    resolve: Effect.suspend(() => config.parse(provider)).pipe(
      Effect.mapError(toBadKey),
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

// Takes only names from the error, because its message may quote a value.
const toBadKey = ({ cause }: Config.ConfigError): BadKey => {
  if (cause._tag === "SourceError") return new BadKey({ description: `no API key: ${cause.message}` })
  const variables = formatIssue(cause.issue).issues.map(({ path }) => path?.map(String).join("_") ?? "")
  return new BadKey({ description: `no API key: set ${variables.join(" and ")}, or give \`apiKey\`` })
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()
