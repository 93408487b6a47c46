import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Parameters, Protocol } from "./protocol/protocol.ts"

/** The URL of a request. Messages do not quote the base URL, which may hold a password. */
export const requestUrl = (protocol: Protocol, baseUrl: string): Effect.Effect<URL, InvalidInput> => {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return failInvalid(protocol, `\`baseUrl\` is not an http or https URL: give one like \`${protocol.exampleUrl}\``)
  }
  if (url.username + url.password + url.search + url.hash !== "") {
    return failInvalid(
      protocol,
      "`baseUrl` has a user name, a password, a query or a fragment: leave them out, and give the key as `apiKey`"
    )
  }
  return Effect.succeed(new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}${protocol.path}`))
}

/** Fails for parameters that have options of their own. */
export const checkParameters = (protocol: Protocol, parameters: Parameters): Effect.Effect<void, InvalidInput> => {
  const { reservedParameters } = protocol
  const name = Object.keys(reservedParameters).find((name) => Object.hasOwn(parameters, name))
  return name === undefined
    ? Effect.void
    : failInvalid(protocol, `\`parameters\` has \`${name}\`: ${reservedParameters[name]}`)
}

/** The timeout of a request as a duration. */
export const checkTimeout = (
  protocol: Protocol,
  timeout: Duration.Input
): Effect.Effect<Duration.Duration, InvalidInput> =>
  Option.match(Option.filter(Duration.fromInput(timeout), Duration.isPositive), {
    onNone: () =>
      failInvalid(
        protocol,
        "`timeout` is not a duration above zero: give one like `\"2 minutes\"`, or leave it out for 10 minutes"
      ),
    onSome: Effect.succeed
  })

export const failInvalid = ({ module }: Protocol, description: string) =>
  Effect.fail(new InvalidInput({ module: `${module}.make`, description }))
