import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import type { Samples } from "../../Model.ts"
import type { Store } from "../../SampleStore.ts"
import { despiteFailure } from "./despiteFailure.ts"

/**
 * Warns once if a provider answers as another model than the recorded samples of an identity name: a provider may change
 * the model behind a name. Run it before the samples are stored.
 */
export const makeModelChangeWarning = (store: Store) => {
  /** The recorded model of each identity that was requested, `undefined` after the warning. */
  const recorded = new Map<string, string | undefined>()

  return ({ identity }: Key, [{ metadata: { model } }]: Samples): Effect.Effect<void> =>
    model === undefined ? Effect.void : Effect.gen(function*() {
      if (!recorded.has(identity.id)) recorded.set(identity.id, (yield* recordedModel(store, identity)) ?? model)
      const before = recorded.get(identity.id)
      if (before === undefined || before === model) return
      recorded.set(identity.id, undefined)
      const warning = Effect.logWarning(
        `${identity}: the provider answers as ${JSON.stringify(model)}, and recorded samples are of ` +
          `${JSON.stringify(before)}. To keep the two models apart, give each its own \`alias\``
      )
      yield* Effect.ignoreCause(warning)
    })
}

// Of any recorded sample. The samples are paid for, so a store that fails here does not fail them.
const recordedModel = (store: Store, identity: Identity): Effect.Effect<string | undefined> =>
  despiteFailure(() =>
    store.keys({ identity }).pipe(
      Stream.filterMap(Result.map(({ key }) => key)),
      Stream.runHead,
      Effect.flatMap(Option.match({
        onNone: () => Effect.undefined,
        onSome: (key) =>
          Effect.flatMap(
            store.positions(key),
            ([first]) => first === undefined ? Effect.undefined : store.get(key, first)
          )
      })),
      Effect.map((sample) => sample?.metadata.model)
    ), undefined)
