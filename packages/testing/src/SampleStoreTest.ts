/**
 * The conformance suite of `SampleStore`: the contract of stores, as tests.
 *
 * **When to use**
 *
 * Use in the tests of a store of your own. The suite does not see the store's layout, its faults or other processes: test
 * those too, for example with `ProcessTest`.
 *
 * **Example** (A store in a directory)
 *
 * ```ts
 * import { DirectoryStore } from "@llm-cache/core"
 * import { SampleStoreTest } from "@llm-cache/testing"
 * import * as Fs from "node:fs"
 * import * as Os from "node:os"
 * import * as Path from "node:path"
 *
 * const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "store-"))
 *
 * SampleStoreTest.suite("directory", DirectoryStore.layer(root), { hasPeek: true })
 * ```
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import { type Key, SampleStore } from "@llm-cache/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { damage } from "./internal/storeTests/damage.ts"
import { distinctKeys } from "./internal/storeTests/distinctKeys.ts"
import { getMany } from "./internal/storeTests/getMany.ts"
import { identities } from "./internal/storeTests/identities.ts"
import { keys } from "./internal/storeTests/keys.ts"
import { leases } from "./internal/storeTests/leases.ts"
import { newPlaces } from "./internal/storeTests/newPlaces.ts"
import { peek } from "./internal/storeTests/peek.ts"
import { persistent } from "./internal/storeTests/persistent.ts"
import { positions } from "./internal/storeTests/positions.ts"
import { put } from "./internal/storeTests/put.ts"
import { roundTrips } from "./internal/storeTests/roundTrips.ts"
import type { Subject } from "./internal/storeTests/subject.ts"
import { transfers } from "./internal/storeTests/transfers.ts"

/**
 * A place where no store was written yet.
 *
 * @category options
 * @since 0.1.0
 */
export interface NewPlace<E = never> {
  /** The store at the place. */
  readonly layer: Layer.Layer<SampleStore.SampleStore, E>
  /** Everything that the store keeps at the place, by name. */
  readonly traces: Effect.Effect<ReadonlyArray<unknown>>
}

/**
 * The abilities of the store, and the size of the tests.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never> {
  /**
   * Whether a second store of the same layer has the samples of the first.
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
   * Whether the store has `peek`.
   *
   * @default false
   */
  readonly hasPeek?: boolean | undefined
  /**
   * Changes the stored text of a sample from outside, like a fault. Without it, the suite skips its tests of damage.
   */
  readonly damage?: ((key: Key.Key, position: number) => Effect.Effect<void>) | undefined
  /**
   * Kinds of places without samples, such as a missing file and an empty one: opening and reading them leave no trace.
   * Without it, the suite skips its tests of that.
   */
  readonly newPlaces?: { readonly [name: string]: Effect.Effect<NewPlace<E>> } | undefined
  /**
   * The time limit of a test, in milliseconds.
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
 * Each test builds the layer anew, and some build it twice. They may share one place, because each uses keys of its own.
 *
 * @category tests
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<SampleStore.SampleStore, E>,
  options: Options<E> = {}
): void => {
  const { damage: spoil, hasLeases = false, hasPeek = false, isDurable = true, timeout = 30_000 } = options
  const test: Subject["test"] = (name, self) => it.live(name, self, { timeout })
  const open: Subject["open"] = Effect.orDie(
    Effect.map(Layer.build(Layer.fresh(layer)), Context.get(SampleStore.SampleStore))
  )
  const subject: Subject = {
    open,
    other: (store) => isDurable ? open : Effect.succeed(store),
    test,
    durably: (name, self) => isDurable && test(name, self),
    hasLeases,
    hasPeek,
    damage: spoil
  }

  describe(`the store ${name}`, () => {
    const topics = [
      roundTrips,
      getMany,
      peek,
      positions,
      put,
      distinctKeys,
      keys,
      identities,
      damage,
      persistent,
      transfers,
      leases
    ]
    for (const topic of topics) topic(subject)
    if (options.newPlaces !== undefined) newPlaces(subject, options.newPlaces)
  })
}
