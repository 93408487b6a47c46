/**
 * The servers of models behind the replaying server, and the names that lead to them.
 *
 * **Details**
 *
 * A request names a model. If the name is an alias, the alias says which upstream and which of its models to ask. Otherwise the
 * first upstream that speaks the protocol of the request is asked, and without one the first of all.
 *
 * The client's key goes on to the upstream, unless the upstream has a key of its own. No key is stored or logged.
 *
 * @since 0.1.0
 */
import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/**
 * The protocols of vendors.
 *
 * @category models
 * @since 0.1.0
 */
export type Api = "openai" | "anthropic"

/**
 * A server of models.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly name: string
  /**
   * The URL before `/chat/completions` or `/messages`, such as `https://api.openai.com/v1`. That of Anthropic may leave out `/v1`, as
   * its clients do.
   */
  readonly url: string
  /**
   * The protocol that it speaks above all.
   *
   * @default `anthropic` if the name or the host says so, else `openai`
   */
  readonly api?: Api | undefined
  /**
   * The key of its account.
   *
   * @default the client's
   */
  readonly key?: Redacted.Redacted | undefined
  /**
   * The most samples that one request may ask for. Give 1 for a server that rejects a higher `n`.
   *
   * @default no limit
   */
  readonly maxBatch?: number | undefined
  /**
   * How many requests are sent at once. The others wait.
   *
   * @default 64
   */
  readonly inFlight?: number | undefined
  /**
   * Whether it gives each response an id of its own, see `LlmModel.make`.
   *
   * @default true
   */
  readonly uniqueResponseIds?: boolean | undefined
}

/**
 * An upstream with checked options.
 *
 * @category models
 * @since 0.1.0
 */
export interface Upstream extends Omit<Options, "api"> {
  readonly api: Api
}

/**
 * A name that clients use, and the model that it stands for.
 *
 * @category options
 * @since 0.1.0
 */
export interface Alias {
  /** The name in requests, and in the cache. */
  readonly alias: string
  readonly upstream: string
  readonly model: string
}

/**
 * The source of the samples of a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly upstream: Upstream
  /** The upstream's name of the model. */
  readonly model: string
}

/**
 * Checks an upstream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Upstream, InvalidInput> => {
  const { inFlight = 64, maxBatch = 1, name, url } = options
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!/^[\w.-]+$/.test(name)) {
    return invalid(`an upstream is named ${JSON.stringify(name)}: give letters, digits, \`.\`, \`-\` and \`_\``)
  }
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    return invalid(`the URL of upstream ${name} is no http or https URL: give one like \`https://api.openai.com/v1\``)
  }
  if (parsed.username + parsed.password + parsed.search + parsed.hash !== "") {
    return invalid(
      `the URL of upstream ${name} has a user name, a password, a query or a fragment: leave them out, and give the key as \`key\``
    )
  }
  if (!(inFlight >= 1)) return invalid(`\`inFlight\` of upstream ${name} is ${inFlight}: give at least 1`)
  if (!(maxBatch >= 1)) return invalid(`\`maxBatch\` of upstream ${name} is ${maxBatch}: give at least 1`)
  const api = options.api ?? (/anthropic/i.test(`${name} ${parsed.hostname}`) ? "anthropic" : "openai")
  const base = parsed.href.replace(/\/+$/, "")
  return Effect.succeed({
    ...options,
    url: api === "anthropic" && !/\/v\d[^/]*$/.test(base) ? `${base}/v1` : base,
    api
  })
}

/**
 * Reads `NAME=URL`.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string): Effect.Effect<Upstream, InvalidInput> => {
  const [, name, url] = /^([^=/]+)=(.+)$/s.exec(text) ?? []
  return name === undefined || url === undefined
    ? invalid(`an upstream has no name or no URL: give NAME=URL, such as \`openai=https://api.openai.com/v1\``)
    : make({ name, url })
}

/**
 * Reads `ALIAS=UPSTREAM/MODEL`.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseAlias = (text: string): Effect.Effect<Alias, InvalidInput> => {
  const [, alias, upstream, model] = /^([^=]+)=([^/]+)\/(.+)$/s.exec(text) ?? []
  return alias === undefined || upstream === undefined || model === undefined
    ? invalid(`${JSON.stringify(text)} is no alias: give ALIAS=UPSTREAM/MODEL, such as \`fast=openai/gpt-4o-mini\``)
    : Effect.succeed({ alias, upstream, model })
}

/**
 * Makes the function that finds the upstream of a model's name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRoutes = Effect.fnUntraced(function*(
  upstreams: ReadonlyArray<Options>,
  aliases: ReadonlyArray<Alias> = []
): Effect.fn.Return<(name: string, api: Api) => Route | undefined, InvalidInput> {
  const all = yield* Effect.forEach(upstreams, make)
  const byName = new Map(all.map((upstream) => [upstream.name, upstream]))
  if (byName.size < all.length) return yield* invalid("two upstreams have one name: give each a name of its own")
  const routes = new Map<string, Route>()
  for (const { alias, model, upstream: name } of aliases) {
    const upstream = byName.get(name)
    if (upstream === undefined) {
      return yield* invalid(
        `the alias ${alias} is of the upstream ${name}, which is not given: give it, or one of ${
          [...byName.keys()].join(", ") || "none so far"
        }`
      )
    }
    yield* Identity.make({ model, alias })
    if (routes.has(alias)) return yield* invalid(`the alias ${alias} is given twice: give it once`)
    routes.set(alias, { upstream, model })
  }
  return (name, api) => {
    const aliased = routes.get(name)
    if (aliased !== undefined) return aliased
    const upstream = all.find((upstream) => upstream.api === api) ?? all[0]
    return upstream && { upstream, model: name }
  }
})

/** The header in which a key goes to an upstream. */
export const keyHeader = (api: Api, key: Redacted.Redacted): { readonly [name: string]: string } =>
  api === "anthropic"
    ? { "x-api-key": Redacted.value(key) }
    : { authorization: `Bearer ${Redacted.value(key)}` }

const invalid = (description: string) => Effect.fail(new InvalidInput({ module: "Upstream.make", description }))
