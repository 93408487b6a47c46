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
 * program that is run again draws the same ones. Over a provider they are new ones; what a request brings beyond the
 * draw that asked for it goes to the next draws.
 *
 * A draw that fails, or is interrupted before its sample is handed out, gives its position back to the next draw. So a
 * draw that timed out and is retried waits for the request that it sent, and does not pay for another; how long a request
 * may take is for the provider's `timeout` to say.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { IndependentModel } from "./IndependentModel.ts"
import { type AtHand, atHandOf, withAtHand } from "./internal/model/atHand.ts"
import { KeyMap } from "./internal/model/keyMap.ts"
import { Reader } from "./internal/model/reader.ts"
import { remember } from "./internal/model/remember.ts"
import { makeRecalls } from "./internal/model/resume.ts"
import { makeMemory } from "./internal/store/memoryStore.ts"
import type { Key } from "./Key.ts"
import * as LlmModel from "./LlmModel.ts"
import type { Drawn } from "./Sample.ts"

/**
 * Makes an independent model of a model, with a shared reader of its own. Purchases under way end when the scope closes.
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
      return Effect.map(Effect.scope, (scope) => overNew(source, scope))
  }
}

const overRemembered = (source: LlmModel.Model): LlmModel.Model => {
  const { attach, behind, isRecalled } = makeRecalls(source)
  const beneath = atHandOf(source.draw)?.now
  const { readerOf, taking } = reading((key, position, batch) =>
    Effect.map(source.draw(key, position, batch), ([drawn]) => [takenAt(position, drawn)])
  )
  const now: AtHand["now"] = beneath && ((key) => {
    const peek = beneath(key)
    const reader = readerOf(key)
    return () => {
      if (!isRecalled(key)) return []
      const position = reader.peek()
      const drawn = peek(position, 1)[0]
      if (drawn === undefined) return []
      reader.take()
      reader.settle()
      return [takenAt(position, drawn)]
    }
  })
  return LlmModel.fromDraw({
    identity: source.identity,
    sequence: "shared",
    requestSize: () => 1,
    stores: new Map(Array.from(source.stores.keys(), (id) => [id, { isShared: true }])),
    giveBack: (key, drawn) =>
      Effect.sync(() => {
        for (const { origins } of drawn.toReversed()) readerOf(key).giveBack(origins[0]!)
      }),
    ...drawing(behind(taking), now),
    attach,
    restore: (key, entries) => {
      const beneath = entries.flatMap(({ drawn: { origins: [position, ...origins], ...sample } }) =>
        position === undefined ? [] : [{ position, drawn: { ...sample, origins } }]
      )
      for (const { position } of beneath) readerOf(key).claim(position)
      return source.restore === undefined ? Effect.void : source.restore(key, beneath)
    }
  })
}

const takenAt = (position: number, { metadata, origins, text }: Drawn): Drawn => ({
  text,
  metadata,
  origins: origins.length === 0 ? [position] : [position, ...origins]
})

// A provider's draws have no positions that mean anything later. The reader numbers them, so that draws which are made
// at once share the requests of a batch, and forgets each sample when it is handed out.
const overNew = (source: LlmModel.Model, scope: Scope.Scope): LlmModel.Model => {
  const store = makeMemory()
  const memory = remember({ source, store, refill: false, name: undefined, scope, floor: (key) => readerOf(key).next })
  const positions = new WeakMap<Drawn, number>()
  const { readerOf, taking } = reading(
    (key, position, batch) =>
      Effect.map(memory.draw(key, position, batch), (drawn) => {
        store.forget(key, position)
        positions.set(drawn[0], position)
        return drawn
      }),
    (key) => store.isEmpty(key) && memory.isAtRest(key, readerOf(key).next)
  )
  return LlmModel.fromDraw({
    identity: source.identity,
    sequence: "shared",
    requestSize: () => 1,
    stores: source.stores,
    restore: undefined,
    giveBack: (key, drawn) =>
      Effect.forEach(drawn.toReversed(), (one) =>
        Effect.suspend(() => {
          const reader = readerOf(key)
          // One that was changed on its way is not known any more: it goes where no one has drawn yet.
          const position = positions.get(one)
          const entry = { position: position ?? reader.next, drawn: one }
          return Effect.map(Effect.orDie(store.put(key, [entry], "append")), () => {
            if (position !== undefined) reader.giveBack(position)
          })
        }), { discard: true }),
    ...drawing(taking)
  })
}

const reading = (
  drawAt: LlmModel.Model["draw"],
  // Whether nothing is kept of a key beneath, so that its reader can be let go when it is idle.
  isDone: (key: Key) => boolean = () => false
) => {
  const readers = new KeyMap<Reader>()
  // Where new readers start: behind all that were let go.
  let start = 0
  const readerOf = (key: Key): Reader => {
    let reader = readers.get(key)
    if (reader === undefined) readers.set(key, reader = new Reader(start))
    return reader
  }
  const taking: NonNullable<AtHand["taking"]> = (key, _, batch, onTaken) =>
    Effect.uninterruptibleMask((restore) => {
      // In one step: a reader that no draw has begun with can be let go at any time.
      const reader = readerOf(key)
      const position = reader.take()
      return Effect.flatMap(Effect.exit(restore(drawAt(key, position, batch))), (exit) => {
        if (Exit.isFailure(exit)) reader.release(position)
        else {
          reader.settle()
          onTaken(exit.value)
        }
        if (reader.isIdle && isDone(key) && readers.get(key) === reader) {
          start = Math.max(start, reader.next)
          readers.delete(key)
        }
        return exit
      })
    })
  return { readerOf, taking }
}

const drawing = (taking: NonNullable<AtHand["taking"]>, now?: AtHand["now"]): Pick<LlmModel.Model, "draw"> => ({
  draw: withAtHand((key, position, batch) => taking(key, position, batch, () => {}), { now, taking })
})

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
export const layer: Layer.Layer<LlmModel.LlmModel | IndependentModel, never, LlmModel.LlmModel> = Layer.fresh(
  Layer.effectContext(Effect.map(
    Effect.flatMap(LlmModel.LlmModel, make),
    (model) => Context.make(LlmModel.LlmModel, model).pipe(Context.add(IndependentModel, model))
  ))
)
