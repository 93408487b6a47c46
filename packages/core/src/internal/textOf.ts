import type { Key } from "../Key.ts"
import type { Store } from "../SampleStore.ts"

/** The text of a sample, without what else is known of it; `undefined` where `get` has to say what there is. */
export type TextOf = (key: Key, position: number) => string | undefined

const textOf = Symbol("@llm-cache/core/textOf")

/**
 * A store's way to a text belongs to its `get`, so that a store which wraps another one and has a `get` of its own hands
 * out nothing that does not go through that.
 */
export const withTextOf = (get: Store["get"], of: TextOf): Store["get"] => Object.assign(get, { [textOf]: of })

export const textOfStore = (
  { get }: { readonly get: Store["get"] & { readonly [textOf]?: TextOf } }
): TextOf | undefined => get[textOf]
