/**
 * The conformance suite of `SampleStore`: what every store has to do, as tests.
 *
 * **When to use**
 *
 * Use in the tests of a store of your own. What the suite cannot see (the store's layout, its faults, other processes)
 * needs tests beside it.
 *
 * **Example** (A store in a directory)
 *
 * ```ts
 * import { SampleStore } from "@llm-cache/core"
 * import { SampleStoreTest } from "@llm-cache/testing"
 * import * as Fs from "node:fs"
 * import * as Os from "node:os"
 * import * as Path from "node:path"
 *
 * const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "store-"))
 *
 * SampleStoreTest.suite("directory", SampleStore.layerDirectory(root))
 * ```
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import { type Key, SampleStore } from "@llm-cache/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { keeping } from "./internal/storeTests/keeping.ts"
import { keys } from "./internal/storeTests/keys.ts"
import { leases } from "./internal/storeTests/leases.ts"
import { listing } from "./internal/storeTests/listing.ts"
import { models } from "./internal/storeTests/models.ts"
import { moving } from "./internal/storeTests/moving.ts"
import { positions } from "./internal/storeTests/positions.ts"
import { readingMany } from "./internal/storeTests/readingMany.ts"
import { spoilt } from "./internal/storeTests/spoilt.ts"
import type { Subject } from "./internal/storeTests/subject.ts"
import { writing } from "./internal/storeTests/writing.ts"

/**
 * What a store can be tested for.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Whether a store that is built again, by the same layer, has what the one before has stored.
   *
   * @default true
   */
  readonly isDurable?: boolean | undefined
  /**
   * Whether the store has leases.
   *
   * @default false
   */
  readonly hasLeases?: boolean | undefined
  /**
   * Changes the stored text of a sample from outside, as a fault would. Without it, the tests of damage are skipped.
   */
  readonly damage?: ((key: Key.Key, position: number) => Effect.Effect<void>) | undefined
  /**
   * How long a test may take, in milliseconds.
   *
   * @default 30_000
   */
  readonly timeout?: number | undefined
}

/**
 * Defines the tests of a store.
 *
 * **Details**
 *
 * Each test builds the layer anew, some of them twice. All of them may see one place: they use keys of their own.
 *
 * @category tests
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<SampleStore.SampleStore, E>,
  options: Options = {}
): void => {
  const { damage, hasLeases = false, isDurable = true, timeout = 30_000 } = options
  const test: Subject["test"] = (name, self) => it.live(name, self, { timeout })
  // A layer that is built anew, whatever was built of it before.
  const open: Subject["open"] = Effect.orDie(
    Effect.map(Layer.build(Layer.fresh(layer)), Context.get(SampleStore.SampleStore))
  )
  const subject: Subject = {
    open,
    other: (store) => isDurable ? open : Effect.succeed(store),
    test,
    durably: (name, self) => isDurable && test(name, self),
    hasLeases,
    damage
  }

  describe(`the store ${name}`, () => {
    const topics = [keeping, readingMany, positions, writing, keys, listing, spoilt, models, moving, leases]
    for (const topic of topics) topic(subject)
  })
}
