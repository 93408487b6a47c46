import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Parameters, Protocol } from "./protocol.ts"

/** The URL that requests go to. Messages do not quote the base URL, which may hold a password. */
export const endpoint = (protocol: Protocol, baseUrl: string): Effect.Effect<URL, InvalidInput> => {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return invalid(protocol, `\`baseUrl\` is not an http or https URL: give one like \`${protocol.example}\``)
  }
  if (url.username + url.password + url.search + url.hash !== "") {
    return invalid(
      protocol,
      "`baseUrl` has a user name, a password, a query or a fragment: leave them out, and give the key as `apiKey`"
    )
  }
  return Effect.succeed(new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}${protocol.path}`))
}

/** Refuses parameters that are options of their own. */
export const checkParameters = (protocol: Protocol, parameters: Parameters): Effect.Effect<void, InvalidInput> => {
  const name = Object.keys(protocol.reserved).find((name) => Object.hasOwn(parameters, name))
  return name === undefined
    ? Effect.void
    : invalid(protocol, `\`parameters\` has \`${name}\`: ${protocol.reserved[name]}`)
}

/** How long a request may take. */
export const checkTimeout = (
  protocol: Protocol,
  timeout: Duration.Input
): Effect.Effect<Duration.Duration, InvalidInput> =>
  Option.match(Option.filter(Duration.fromInput(timeout), Duration.isPositive), {
    onNone: () =>
      invalid(
        protocol,
        "`timeout` is no time in which a request could be answered: give one above zero, or leave it out"
      ),
    onSome: Effect.succeed
  })

/** Fails for options that no request can be made of. */
export const invalid = ({ name }: Protocol, description: string) =>
  Effect.fail(new InvalidInput({ module: name, description }))
