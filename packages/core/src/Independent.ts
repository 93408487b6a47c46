/**
 * Independent sampling: every draw by anyone takes the next position of a prompt's sequence, so that no sample is handed
 * out twice.
 *
 * **When to use**
 *
 * Use where the logic relies on independence: retries, pass@k, votes, estimates of uncertainty.
 *
 * **Details**
 *
 * Over a model that remembers (Repeatable, Persistent), the draws are the remembered samples, from the first on: a
 * program that is run again draws the same ones. Over a provider they are new ones; the surplus of a
 * request goes to the next draws.
 *
 * A draw that fails, or is interrupted before its sample is handed out, gives its position back to the next draw. So a
 * draw that timed out and is retried waits for the request that it sent, and does not pay for another; how long a request
 * may take is for the provider's `timeout` to say.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { IndependentModel } from "./IndependentModel.ts"
import { modelBeneath, overModel } from "./internal/model/overModel.ts"
import { peekUnobserved } from "./internal/model/peek.ts"
import { tellingOfRaces } from "./internal/model/races.ts"
import { Readers } from "./internal/model/reader.ts"
import { makeAttached } from "./internal/model/resume.ts"
import { Surplus } from "./internal/model/surplus.ts"
import * as LlmModel from "./LlmModel.ts"
import type { Drawn } from "./Sample.ts"

/**
 * Makes an independent model of a model, with a shared reader of its own. Requests in flight end when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (source: LlmModel.Model): Effect.Effect<LlmModel.Model, never, Scope.Scope> => {
  switch (source.sequence) {
    case "shared":
      return Effect.succeed(source)
    case "remembered":
      return Effect.sync(() => overRemembered(source))
    case "new":
      return Effect.map(Effect.scope, (scope) => overProvider(source, scope))
  }
}

const overRemembered = (source: LlmModel.Model): LlmModel.Model => {
  const { attach, isResumed, resumedDraw } = makeAttached(source)
  const readers = new Readers()
  const ofReader = { of: source.draw, reader: readers }
  const drawNext = tellingOfRaces(
    resumedDraw((key, _, batch, options) =>
      readers.draw(
        key,
        options?.onTaken,
        (position) => source.draw(key, position, batch, ofReader),
        (position, [sample]) => [withOrigin(position, sample)]
      )
    ),
    (key) => readers.of(key).peek()
  )
  return LlmModel.fromDraw({
    identity: source.identity,
    sequence: "shared",
    requestSize: () => 1,
    stores: new Map(Array.from(source.stores.keys(), (id) => [id, { isShared: true }])),
    leavesSamplesOut: source.leavesSamplesOut,
    attach,
    draw: source.peek === undefined ? drawNext : (key, position, batch, options) =>
      Effect.withFiber((fiber) => {
        if (!isResumed(key)) return drawNext(key, position, batch, options)
        // A sample at hand is taken in one step, which needs no protection against interruption.
        const reader = readers.of(key)
        const next = reader.peek()
        const samples = withOriginAtHand(next, peekUnobserved(fiber, source, key, next, 1)[0])
        if (samples === undefined) return drawNext(key, position, batch, options)
        reader.takePeeked()
        options?.onTaken?.(samples)
        return Effect.succeed(samples)
      }),
    giveBack: (key, drawn) =>
      Effect.sync(() => {
        for (const { origins } of drawn.toReversed()) readers.of(key).giveBack(origins[0]!)
      }),
    restore: (key, entries) => {
      const beneath = entries.flatMap(({ drawn: { origins: [position, ...origins], ...sample } }) =>
        position === undefined ? [] : [{ position, drawn: { ...sample, origins } }]
      )
      for (const { position } of beneath) readers.of(key).claim(position)
      return source.restore === undefined ? Effect.void : source.restore(key, beneath)
    }
  })
}

const withOrigin = (position: number, { metadata, origins, text }: Drawn): Drawn => ({
  text,
  metadata,
  origins: origins.length === 0 ? [position] : [position, ...origins]
})

// A sample that was peeked may read its metadata late. If that fails, the draw has the error.
const withOriginAtHand = (position: number, sample: Drawn | undefined): readonly [Drawn] | undefined => {
  try {
    return sample && [withOrigin(position, sample)]
  } catch {
    return undefined
  }
}

const overProvider = (source: LlmModel.Model, scope: Scope.Scope): LlmModel.Model => {
  const readers = new Readers()
  const surplus = new Surplus(source, scope, (key) => readers.of(key).next)
  return LlmModel.fromDraw({
    identity: source.identity,
    sequence: "shared",
    requestSize: () => 1,
    stores: source.stores,
    leavesSamplesOut: source.leavesSamplesOut,
    restore: undefined,
    draw: tellingOfRaces(
      (key, _, batch, options) =>
        readers.draw(
          key,
          options?.onTaken,
          (position) => surplus.fill(key, position, batch),
          (position) => [surplus.take(key, position)],
          () => surplus.dropIfEmpty(key)
        ),
      (key) => readers.of(key).peek()
    ),
    giveBack: (key, drawn) =>
      Effect.sync(() => {
        for (const sample of drawn.toReversed()) {
          const position = surplus.putBack(key, sample)
          if (position !== undefined) readers.of(key).giveBack(position)
        }
      })
  })
}

/**
 * Makes the model beneath independent, and provides it as `IndependentModel` too.
 *
 * **Details**
 *
 * Each time it is provided it is a new reader, which starts at the first position. Over a model that is independent
 * already it changes nothing.
 *
 * **Gotchas**
 *
 * Code that provides this layer itself and runs more than once over a cache gets the same samples in each run. Let it ask for
 * `IndependentModel`, and provide the layer once around all runs, or run each in a fork. `Audit` finds such code.
 *
 * Effect shares a layer that is composed of others by reference. One composed with this layer and not yet with a model,
 * and provided to two models in one layer, is built once, over the first: compose it anew for each, or wrap it in
 * `Layer.fresh`.
 *
 * **Example** (Two different draws)
 *
 * ```ts
 * import { Independent, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const two = Effect.all([LlmModel.sampleOne("A number?"), LlmModel.sampleOne("A number?")]).pipe(
 *   Effect.provide(Independent.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<LlmModel.LlmModel | IndependentModel, never, LlmModel.LlmModel> = overModel(
  "Independent.layer",
  (_, scope) =>
    Effect.map(
      Scope.provide(Effect.flatMap(modelBeneath("Independent.layer", LlmModel.LlmModel), make), scope),
      (model) => Context.make(LlmModel.LlmModel, model).pipe(Context.add(IndependentModel, model))
    )
)
