import type { Json } from "@llm-cache/core/Identity"
import { ProviderError } from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** The URL that requests go to. Messages do not quote the base URL, which may hold a password. */
export const endpoint = (baseUrl: string): Effect.Effect<URL, ProviderError> => {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return invalid("`baseUrl` is not an http or https URL: give one like `https://api.example.com/v1`")
  }
  if (url.username + url.password + url.search + url.hash !== "") {
    return invalid(
      "`baseUrl` has a user name, a password, a query or a fragment: leave them out, and give the key as `apiKey`"
    )
  }
  return Effect.succeed(new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}/chat/completions`))
}

const reserved: Record<string, string> = {
  model: "give the option `model`",
  messages: "the prompt is what is sampled, give the option `system` for a system message",
  n: "ask for a `batch` when you sample, and give the option `maxBatch` for the most that a request may ask for",
  temperature: "give the option `temperature`",
  stream: "leave it out, samples come whole",
  system: "give the option `system`"
}

/** Refuses parameters that are options of their own. */
export const checkParameters = (
  parameters: { readonly [name: string]: Json | undefined } = {}
): Effect.Effect<void, ProviderError> => {
  const name = Object.keys(reserved).find((name) => Object.hasOwn(parameters, name))
  return name === undefined ? Effect.void : invalid(`\`parameters\` has \`${name}\`: ${reserved[name]}`)
}

/** How long a request may take. */
export const checkTimeout = (timeout: Duration.Input): Effect.Effect<Duration.Duration, ProviderError> =>
  Option.match(Option.filter(Duration.fromInput(timeout), Duration.isPositive), {
    onNone: () =>
      invalid("`timeout` is no time in which a request could be answered: give one above zero, or leave it out"),
    onSome: Effect.succeed
  })

const invalid = (description: string) => Effect.fail(ProviderError.badRequest("OpenAiCompatible", description))
