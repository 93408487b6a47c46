import type { Key } from "../../Key.ts"
import type { Store } from "../../SampleStore.ts"

/**
 * The texts of samples from a position on, at most `most`, without what else is known of them. There are fewer where
 * `get` has to say what there is.
 */
export type TextsOf = (key: Key, from: number, most: number) => Array<string>

const textsOf = Symbol("@llm-cache/core/textsOf")

/**
 * A store's way to texts belongs to its `get`, so that a store which wraps another one and has a `get` of its own hands
 * out nothing that does not go through that.
 */
export const withTextsOf = (get: Store["get"], of: TextsOf): Store["get"] => Object.assign(get, { [textsOf]: of })

export const textsOfStore = (
  { get }: { readonly get: Store["get"] & { readonly [textsOf]?: TextsOf } }
): TextsOf | undefined => get[textsOf]
