import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Parameters, Protocol } from "./protocol/protocol.ts"

/** The URL of a request. Messages do not quote the base URL, which may hold a password. */
export const requestUrl = (protocol: Protocol, baseUrl: string): Effect.Effect<URL, InvalidInput> => {
  const { exampleUrl, path, urlOption } = protocol
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return failInvalid(protocol, `\`${urlOption}\` is not an http or https URL: give one like \`${exampleUrl}\``)
  }
  if (url.username + url.password + url.search + url.hash !== "") {
    return failInvalid(
      protocol,
      `\`${urlOption}\` has a user name, a password, a query or a fragment: leave them out, and give the key as ` +
        "`apiKey`, and parameters of the query as `query`"
    )
  }
  if (path !== "" && url.pathname.replace(/\/+$/, "").endsWith(path)) {
    return failInvalid(protocol, `\`${urlOption}\` ends in \`${path}\`, which each request adds: leave it out`)
  }
  return Effect.succeed(path === "" ? url : new URL(`${url.origin}${url.pathname.replace(/\/+$/, "")}${path}`))
}

const optionNames = [
  "alias",
  "apiKey",
  "baseUrl",
  "concurrency",
  "headers",
  "limits",
  "maxBatch",
  "model",
  "parameters",
  "query",
  "request",
  "retry",
  "system",
  "temperature",
  "timeout",
  "uniqueResponseIds"
]

/** Fails for options that no model has. Types exclude them, but not in JavaScript and in objects with more fields. */
export const checkNames = (protocol: Protocol, options: object): Effect.Effect<void, InvalidInput> => {
  const unknown = Object.entries(options).find(([name, value]) => value !== undefined && !optionNames.includes(name))
  if (unknown === undefined) return Effect.void
  const [name] = unknown
  const spelling = optionNames.find((known) => known.toLowerCase() === name.toLowerCase().replaceAll(/[^a-z]/g, ""))
  const advice = spelling === undefined
    ? "give parameters of the sampling in `parameters`, and fields without effect on the samples in `request`"
    : `write \`${spelling}\``
  const { reservedParameters } = protocol
  const own = Object.hasOwn(reservedParameters, name) ? reservedParameters[name] : advice
  return failInvalid(protocol, `there is no option \`${name}\`: ${own}`)
}

const isGiven = (fields: object, name: string): boolean =>
  Reflect.get(fields, name) !== undefined && Object.hasOwn(fields, name)

/** Fails for fields of the body that have options of their own, that are given twice, or that JSON cannot hold. */
export const checkFields = (
  protocol: Protocol,
  parameters: Parameters,
  request: Parameters
): Effect.Effect<void, InvalidInput> => {
  const { reservedParameters } = protocol
  for (const [option, fields] of Object.entries({ parameters, request })) {
    if (typeof fields !== "object" || fields === null) {
      return failInvalid(protocol, `\`${option}\` is no object: give the fields by their names, or leave it out`)
    }
    const name = Object.keys(reservedParameters).find((name) => isGiven(fields, name))
    if (name !== undefined) return failInvalid(protocol, `\`${option}\` has \`${name}\`: ${reservedParameters[name]}`)
  }
  const twice = Object.keys(request).find((name) => isGiven(request, name) && isGiven(parameters, name))
  if (twice !== undefined) {
    return failInvalid(
      protocol,
      `\`${twice}\` is in \`parameters\` and in \`request\`: give it in \`parameters\` if it changes the samples`
    )
  }
  // `parameters` are checked with the identity.
  return Effect.mapError(
    Identity.make({ model: "any", parameters: request }),
    () =>
      invalid(
        protocol,
        "`request` has a value that JSON cannot hold: give texts, finite numbers, booleans, arrays, objects"
      )
  )
}

/** Values by name, as headers or in a query. `undefined` leaves one out. */
export type Values = { readonly [name: string]: string | Redacted.Redacted | undefined }

/** The text of a header or of a parameter of the query. */
export const textOf = (value: string | Redacted.Redacted): string =>
  Redacted.isRedacted(value) ? Redacted.value(value) : value

/** Fails for values that are no text. A `Redacted` without a text fails the request, so that replays need no secret. */
export const checkValues = (protocol: Protocol, option: string, values: Values): Effect.Effect<void, InvalidInput> => {
  const wrong = Object.entries(values).find(([, value]) =>
    typeof value === "function" || (typeof value === "object" && !Redacted.isRedacted(value))
  )
  return wrong === undefined
    ? Effect.void
    : failInvalid(
      protocol,
      `\`${option}\` has a value of \`${wrong[0]}\` that is no text: give a text, or a \`Redacted\` of one`
    )
}

/** Fails for headers that HTTP cannot hold. Messages do not quote a value, which may be a secret. */
export const checkHeaders = (protocol: Protocol, headers: Values): Effect.Effect<void, InvalidInput> => {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      return failInvalid(protocol, "`headers` has a name that HTTP cannot hold: give letters, digits and `-`")
    }
    if (value !== undefined && !/^[\x20-\x7e]*$/.test(textOf(value))) {
      return failInvalid(protocol, `\`headers\` has a value of \`${name}\` that HTTP cannot hold: give printable ASCII`)
    }
  }
  return Effect.void
}

/** A time limit as a duration. */
export const checkTimeout = (
  protocol: Protocol,
  name: string,
  timeout: Duration.Input
): Effect.Effect<Duration.Duration, InvalidInput> =>
  Option.match(Option.filter(Duration.fromInput(timeout), Duration.isPositive), {
    onNone: () =>
      failInvalid(
        protocol,
        `\`${name}\` is not a duration above zero: give one like \`"2 minutes"\`, or leave it out for the default`
      ),
    onSome: Effect.succeed
  })

const invalid = ({ module }: Protocol, description: string) =>
  new InvalidInput({ module: `${module}.make`, description })

export const failInvalid = (protocol: Protocol, description: string) => Effect.fail(invalid(protocol, description))
