/** The flags of commands that start the server. */
import * as Upstream from "@llm-cache/server/Upstream"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { UsageError } from "../errors.ts"
import * as flags from "../flags.ts"

/** A switch that is off unless it is given. */
export const turnedOn = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDefault(false), Flag.withDescription(description))

/** A time such as '30 seconds'. Give it to `durationOf`. */
export const time = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.optional, Flag.withMetavar("TIME"), Flag.withDescription(description))

export const serverFlags = {
  cache: flags.cache,
  upstream: Flag.String("upstream").pipe(
    Flag.atLeast(0),
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "The server of models to ask, such as https://api.openai.com/v1; NAME=URL for several " +
        "(default: OPENAI_BASE_URL and ANTHROPIC_BASE_URL, or else OpenAI and Anthropic)"
    )
  ),
  alias: Flag.String("alias").pipe(
    Flag.atLeast(0),
    Flag.withMetavar("ALIAS=UPSTREAM/MODEL"),
    Flag.withDescription("A name for a model, in requests and in the cache")
  ),
  keyFrom: Flag.String("key-from").pipe(
    Flag.atLeast(0),
    Flag.withMetavar("VARIABLE"),
    Flag.withDescription(
      "The environment variable with the key for the upstream; NAME=VARIABLE for several upstreams (default: the client's key)"
    )
  ),
  replication: turnedOn("replication", "Never ask an upstream: what the cache does not have is a failure"),
  slice: Flag.String("slice").pipe(
    Flag.optional,
    Flag.withMetavar("CACHE"),
    Flag.withDescription("A cache that gets exactly the samples that programs draw, such as paper.db")
  ),
  refuse: Flag.String("refuse").pipe(
    Flag.atLeast(0),
    Flag.withMetavar("REASON"),
    Flag.withDescription("Hand out no samples with this finish reason, such as length")
  ),
  inFlight: Flag.Int("in-flight").pipe(
    Flag.optional,
    Flag.withMetavar("N"),
    Flag.withDescription("How many requests are sent to an upstream at once (default: 64)")
  ),
  timeout: time("timeout", "How long a request to an upstream may take (default: '10 minutes')"),
  lease: time("lease", "Claim a sample for so long before it is requested, where several servers share a cache"),
  grace: time("grace", "How long requests in flight may go on when the server stops (default: '30 seconds')")
}

interface Input {
  readonly upstream: ReadonlyArray<string>
  readonly alias: ReadonlyArray<string>
  readonly keyFrom: ReadonlyArray<string>
  readonly replication: boolean
  readonly refuse: ReadonlyArray<string>
  readonly inFlight: Option.Option<number>
  readonly timeout: Option.Option<string>
  readonly lease: Option.Option<string>
  readonly grace: Option.Option<string>
}

/** The options of the server that the flags name. */
export const serverOptions = Effect.fnUntraced(function*(input: Input) {
  const keys = yield* Effect.forEach(input.keyFrom, keyOf)
  const inFlight = Option.getOrUndefined(input.inFlight)
  const usual = input.upstream.length > 0 || input.replication
    ? undefined
    : yield* Effect.forEach(vendors, usualUpstream)
  const given = usual?.map(({ upstream }) => upstream) ?? (yield* Effect.forEach(input.upstream, upstreamOf))
  // A key without a name is for the vendor whose variables are set.
  const used = usual?.filter(({ isUsed }) => isUsed).map(({ upstream }) => upstream) ?? given
  const unnamed = used.length === 0 ? given[0] : used[0]
  const unknown = keys.find(({ upstream }) => upstream !== undefined && given.every(({ name }) => name !== upstream))
  if (unknown !== undefined) {
    return yield* new UsageError({
      message:
        `--key-from names the upstream ${unknown.upstream}, which is not given: add --upstream ${unknown.upstream}=URL`
    })
  }
  if (used.length > 1 && keys.some(({ upstream }) => upstream === undefined)) {
    return yield* new UsageError({
      message: `--key-from has to say for which upstream: --key-from ${used[0]!.name}=VARIABLE`
    })
  }
  return {
    upstreams: given.map((upstream) => ({
      ...upstream,
      inFlight,
      key: keys.find(({ upstream: name }) => name === undefined ? upstream === unnamed : name === upstream.name)?.key
    })),
    aliases: yield* Effect.forEach(input.alias, Upstream.parseAlias),
    replication: input.replication,
    excludeFinishReasons: input.refuse,
    timeout: yield* durationOf("timeout", input.timeout),
    lease: yield* durationOf("lease", input.lease),
    grace: yield* durationOf("grace", input.grace)
  }
})

/** The time that a flag gives. */
export const durationOf = (
  name: string,
  text: Option.Option<string>
): Effect.Effect<Duration.Duration | undefined, UsageError> =>
  Option.match(text, {
    onNone: () => Effect.undefined,
    onSome: (text) =>
      Option.match(Duration.fromInput(text as Duration.Input), {
        onNone: () =>
          new UsageError({ message: `--${name} is no time: give one such as '30 seconds' or '10 minutes'` }),
        onSome: Effect.succeed
      })
  })

const upstreamOf = (text: string) =>
  /^https?:\/\//i.test(text) ? Upstream.make({ name: "upstream", url: text }) : Upstream.parse(text)

interface Vendor {
  readonly api: Upstream.Api
  readonly url: string
  /** Where its clients find its URL. */
  readonly urls: ReadonlyArray<string>
  /** Where its clients find a key. */
  readonly keys: ReadonlyArray<string>
}

const vendors: ReadonlyArray<Vendor> = [
  {
    api: "openai",
    url: "https://api.openai.com/v1",
    urls: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
    keys: ["OPENAI_API_KEY"]
  },
  {
    api: "anthropic",
    url: "https://api.anthropic.com/v1",
    urls: ["ANTHROPIC_BASE_URL"],
    keys: ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]
  }
]

/** The server that clients of a vendor would ask without llm-cache. Each vendor has its own, so that no key goes to another. */
const usualUpstream = Effect.fnUntraced(function*({ api, keys, url, urls }: Vendor) {
  const given = (yield* Effect.forEach(urls, variableOf)).find((value) => value !== undefined)
  const isUsed = given !== undefined || (yield* Effect.forEach(keys, variableOf)).some((value) => value !== undefined)
  return { upstream: yield* Upstream.make({ name: api, api, url: given ?? url }), isUsed }
})

const variableOf = (name: string): Effect.Effect<string | undefined, UsageError> =>
  Config.String(name).pipe(
    Config.option,
    Effect.mapError(() => new UsageError({ message: `the environment variable ${name} cannot be read` })),
    Effect.map((value) => Option.getOrUndefined(value) || undefined)
  )

/** Reads `VARIABLE` or `NAME=VARIABLE`. */
const keyOf = Effect.fnUntraced(function*(text: string) {
  const [, upstream, variable = ""] = /^(?:([^=]*)=)?(.*)$/s.exec(text)!
  return { upstream, key: yield* secretFrom("key-from", variable) }
})

/** The secret in an environment variable that a flag names. */
export const secretFrom = (flag: string, variable: string): Effect.Effect<Redacted.Redacted, UsageError> =>
  Config.Redacted(variable).pipe(
    Config.option,
    Effect.orElseSucceed(() => Option.none<Redacted.Redacted>()),
    Effect.flatMap(Option.match({
      onSome: Effect.succeed,
      // It may be a secret, given where its variable is wanted.
      onNone: () =>
        new UsageError({ message: `--${flag} names an environment variable that is empty or not set: set it first` })
    }))
  )
