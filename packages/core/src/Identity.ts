/**
 * An identity names a distribution: two models with one identity are taken to answer alike, so they share a cache.
 *
 * **Details**
 *
 * The provider, its URL and its key are not part of it. All settings that change the distribution are: the model, the
 * temperature, and every other sampling parameter (`max_tokens`, `top_p`, `stop`, the system text, …).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { canonical } from "./internal/canonicalJson.ts"
import { InvalidInput } from "./InvalidInput.ts"

/**
 * A value that JSON can hold.
 *
 * @category models
 * @since 0.1.0
 */
export type Json =
  | null
  | boolean
  | number
  | string
  | ReadonlyArray<Json>
  | { readonly [name: string]: Json | undefined }

/**
 * The name of a distribution. `make` checks it.
 *
 * @category models
 * @since 0.1.0
 */
export class Identity {
  /** The alias, by default the provider's name of the model. */
  readonly name: string
  /** `undefined` when none is sent, so that the provider's own default holds. */
  readonly temperature: number | undefined
  /** JSON of the other sampling parameters, with sorted names outside of JSON Schemas. `{}` if there are none. */
  readonly parameters: string
  /** One text for the three, the same for two identities exactly when they are the same. */
  readonly id: string

  /** @internal */
  constructor(name: string, temperature: number | undefined, parameters: string) {
    this.name = name
    this.temperature = temperature
    this.parameters = parameters
    this.id = JSON.stringify([name, temperature ?? null, parameters])
  }

  /**
   * The identity in one line, for messages.
   *
   * @since 0.1.0
   */
  toString(): string {
    return `${this.name}, ${
      this.temperature === undefined ? "default temperature" : `temperature ${this.temperature}`
    }${this.parameters === "{}" ? "" : `, ${this.parameters}`}`
  }
}

/**
 * How a model is named when it is made.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The provider's name of the model. */
  readonly model: string
  /** Absent: the provider's default. */
  readonly temperature?: number | undefined
  /**
   * The name the cache uses, for one model that providers call differently. A `/` makes folders on disk.
   *
   * @default the value of `model`
   */
  readonly alias?: string | undefined
  /**
   * Every other sampling parameter that changes the distribution. The order of names is no part of the identity, but in a
   * JSON Schema (an object with `properties`, and everything in it): models generate the fields in that order.
   *
   * @default {}
   */
  readonly parameters?: { readonly [name: string]: Json | undefined } | undefined
}

const invalid = (description: string) => Effect.fail(new InvalidInput({ module: "Identity.make", description }))

/**
 * Names a distribution. Fails with an `InvalidInput` where the options name none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Identity, InvalidInput> => {
  const name = options.alias ?? options.model
  const { temperature } = options
  if (typeof options.model !== "string" || options.model === "" || typeof name !== "string" || name === "") {
    return invalid("the model has no name: give `model`, and `alias` where there is one, a text that is not empty")
  }
  if (!name.isWellFormed()) return invalid("the model's name has a lone surrogate: give it as well-formed Unicode")
  if (temperature !== undefined && !(Number.isFinite(temperature) && temperature >= 0)) {
    return invalid(
      `temperature is ${temperature}: give a number of at least 0, or leave it out for the provider's default`
    )
  }
  const parameters = canonical(options.parameters ?? {})
  if (parameters === undefined) {
    return invalid(
      "`parameters` has a value that JSON cannot hold: give texts, finite numbers, booleans, arrays, objects"
    )
  }
  // `-0` and `0` are one temperature
  return Effect.succeed(new Identity(name, temperature === undefined ? undefined : temperature + 0, parameters))
}

/**
 * The identity of an `id`, `undefined` if the text is no id: for stores that keep identities by their id.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromId = (id: string): Identity | undefined => {
  try {
    const [name, temperature, parameters]: ReadonlyArray<unknown> = JSON.parse(id)
    if (typeof name !== "string" || name === "" || typeof parameters !== "string") return undefined
    if (temperature !== null && typeof temperature !== "number") return undefined
    if (canonical(JSON.parse(parameters)) !== parameters) return undefined
    const identity = new Identity(name, temperature ?? undefined, parameters)
    return identity.id === id ? identity : undefined
  } catch {
    return undefined
  }
}
