import type { Key } from "../Key.ts"
import type { Model } from "../LlmModel.ts"
import type { Drawn } from "../Sample.ts"

/**
 * Hands out samples from a position on as `draw` would, one or more and at most `most`, without an effect; none where it
 * takes one. Of a shared sequence it is the next sample alone. No one is told of it: see `isObserved`.
 */
export type AtHand = (key: Key, position: number, most: number) => ReadonlyArray<Drawn>

const atHand = Symbol("@llm-cache/core/atHand")

/**
 * What a model has at hand belongs to its draw, so that a model which wraps another one and has a draw of its own hands
 * out nothing that does not go through that.
 */
export const withAtHand = (draw: Model["draw"], hand: AtHand | undefined): Model["draw"] =>
  hand === undefined ? draw : Object.assign((...of: Parameters<Model["draw"]>) => draw(...of), { [atHand]: hand })

export const atHandOf = (draw: Model["draw"] & { readonly [atHand]?: AtHand }): AtHand | undefined => draw[atHand]

export const nothing: ReadonlyArray<Drawn> = []
