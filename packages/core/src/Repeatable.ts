/**
 * Repeatable sampling: every run of a prompt reads the same sequence, remembered as long as the layer lasts.
 *
 * **When to use**
 *
 * Use where the steps of one attempt must see the same answers to the same prompts, however often they ask.
 *
 * **Details**
 *
 * A missing sample is drawn from the model beneath: at the same position where that model remembers sequences itself,
 * otherwise its next draw. At most one request per prompt and position is in flight. All draws that wait for it
 * get its result, and the interruption of one of them does not end it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { makeCache } from "./internal/model/cache.ts"
import { modelBeneath, overModel } from "./internal/model/overModel.ts"
import { repeatableContext } from "./internal/model/repeatableContext.ts"
import { makeAttached } from "./internal/model/resume.ts"
import * as LlmModel from "./LlmModel.ts"
import * as MemoryStore from "./MemoryStore.ts"
import type { RepeatableModel } from "./RepeatableModel.ts"

/**
 * Makes a repeatable model of a model, with a memory store of its own. Requests in flight end when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  source: LlmModel.Model
): Effect.fn.Return<LlmModel.Model, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const store = yield* MemoryStore.make
  const { attach, resumedDraw } = makeAttached(source)
  const { draw, restore } = makeCache({ source, store, refill: true, name: "Repeatable", scope })
  return LlmModel.fromDraw({
    identity: source.identity,
    sequence: "remembered",
    requestSize: () => 1,
    giveBack: undefined,
    stores: source.stores,
    leavesSamplesOut: source.leavesSamplesOut,
    draw: resumedDraw(draw),
    peek: (key, position, most) => store.peek(key, position, Math.min(most, firstRead + 3 * position)),
    restore,
    attach
  })
})

/** How many samples a run that may end at any sample reads from memory at first. */
const firstRead = 128

/**
 * Makes the model beneath repeatable, and provides it as `RepeatableModel` too.
 *
 * **Details**
 *
 * Each time it is provided it is a new memory, also where it is nested in itself: provide it to each attempt of a retry
 * and each attempt has its own. To share one memory, provide it once, or share the layer it is composed into.
 *
 * **Gotchas**
 *
 * Effect shares a layer that is composed of others by reference. One composed with this layer and not yet with a model,
 * and provided to two models in one layer, is built once, over the first: compose it anew for each, or wrap it in
 * `Layer.fresh`.
 *
 * **Example** (The same answer twice)
 *
 * ```ts
 * import { LlmModel, Repeatable } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const twice = Effect.all([LlmModel.sampleOne("A number?"), LlmModel.sampleOne("A number?")]).pipe(
 *   Effect.provide(Repeatable.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<LlmModel.LlmModel | RepeatableModel, never, LlmModel.LlmModel> = overModel(
  "Repeatable.layer",
  (_, scope) =>
    Effect.map(
      Scope.provide(Effect.flatMap(modelBeneath("Repeatable.layer", LlmModel.LlmModel), make), scope),
      repeatableContext
    )
)
