import { BadKey } from "@llm-cache/core/SampleError"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as ModelOptions from "../ModelOptions.ts"

/** An API key that each request looks up, so that a program without requests needs no key. */
export interface ApiKey {
  /** The option or variable that holds the key, for error messages. */
  readonly name: string
  readonly resolve: Effect.Effect<Redacted.Redacted | undefined, BadKey>
}

/** For a server without keys. */
export const none: ApiKey = { name: "`apiKey`", resolve: Effect.undefined }

/** The key of an option. A `Config` is read for each request, from the configuration of the layer. */
export const fromOption = (key: ModelOptions.ApiKey): Effect.Effect<ApiKey> =>
  Config.isConfig(key)
    ? fromConfig(key, "the API key")
    : Effect.succeed({ name: "`apiKey`", resolve: check(key, "`apiKey`") })

/** The key of an option or, without it, of a configuration variable. */
export const fromOptionOrVariable = (key: ModelOptions.ApiKey | undefined, variable: string): Effect.Effect<ApiKey> =>
  key === undefined ? fromConfig(Config.Redacted(variable), variable) : fromOption(key)

const fromConfig = (config: Config.Config<Redacted.Redacted>, name: string): Effect.Effect<ApiKey> =>
  Effect.map(ConfigProvider.ConfigProvider, (provider) => ({
    name,
    resolve: Effect.suspend(() => config.parse(provider)).pipe(
      Effect.mapError(toBadKey),
      Effect.flatMap((key) => check(key, name))
    )
  }))

// Programs in JavaScript, and `process.env.KEY!` of an unset variable, bring values that the types exclude.
const check = (key: unknown, name: string): Effect.Effect<Redacted.Redacted, BadKey> => {
  if (!Redacted.isRedacted(key)) {
    return badKey(
      key === undefined || key === null
        ? `no API key: ${name} is ${key}`
        : `${name} is no \`Redacted\`: give \`Redacted.make(key)\`, so that no message prints the key`
    )
  }
  const value = Redacted.value(key)
  if (typeof value !== "string") {
    return badKey(
      `no API key: ${name} holds no text: set the environment variable that it is made of, or give ` +
        "`Config.Redacted(\"ITS_NAME\")`, which says which one is missing"
    )
  }
  const text = value.trim()
  if (text === "") return badKey(`no API key: ${name} is empty`)
  return /^[\x20-\x7e]*$/.test(text)
    ? Effect.succeed(Redacted.make(text))
    : badKey(`${name} has a character that no HTTP header can hold: set it to the key alone`)
}

const badKey = (description: string) => Effect.fail(new BadKey({ description }))

// Takes only names from the error, because its message may quote a value.
const toBadKey = ({ cause }: Config.ConfigError): BadKey => {
  if (cause._tag === "SourceError") return new BadKey({ description: `no API key: ${cause.message}` })
  const variables = formatIssue(cause.issue).issues.map(({ path }) => path?.map(String).join("_") ?? "")
  return new BadKey({ description: `no API key: set ${variables.join(" and ")}, or give \`apiKey\`` })
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()
