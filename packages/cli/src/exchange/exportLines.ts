import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { ListedIdentity, Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { entriesOf } from "./entries.ts"
import { encodeLine } from "./sampleLine.ts"

export interface ExportOptions {
  /** Called once for each entry that cannot be read. */
  readonly onDamaged: (error: StoreError) => Effect.Effect<void>
  /**
   * Prompts that are sorted at a time.
   *
   * @default 16384
   */
  readonly portion?: number | undefined
}

/**
 * Every sample of a store as a line of JSON. Equal stores give equal lines: models come first, those with a temperature
 * before those without, then the hashes of prompts, forks and positions.
 *
 * A store lists its keys in no order. The keys of a model are sorted in portions, by the first digits of their hash, so
 * memory holds a portion and not the prompts of a cache.
 */
export const exportLines = (
  store: Store,
  { onDamaged, portion = 2 ** 14 }: ExportOptions
): Stream.Stream<string, StoreError> =>
  Stream.suspend(() => {
    const told = new Set<string>()
    const tellOnce = (error: StoreError) =>
      Effect.suspend(() => told.size < told.add(error.message).size ? onDamaged(error) : Effect.void)
    const readable = <A>(elements: Stream.Stream<Result.Result<A, StoreError>, StoreError>) =>
      elements.pipe(
        Stream.tap((element) => Result.isFailure(element) ? tellOnce(element.failure) : Effect.void),
        Stream.filterMap((element) => element),
        Stream.runCollect
      )
    const models = Effect.map(readable(store.identities), (all) => all.sort((a, b) => byName(a.identity, b.identity)))
    const keys = (identity: Identity, promptHash: string) =>
      Effect.map(readable(store.keys({ identity, promptHash })), (listed) => listed.map(({ key }) => key).sort(byHash))
    return Stream.fromIterableEffect(models).pipe(
      Stream.flatMap((model) =>
        Stream.flatMap(Stream.fromIterable(prefixes(model, portion)), (prefix) =>
          Stream.fromIterableEffect(keys(model.identity, prefix)))
      ),
      Stream.flatMap((key) =>
        Stream.map(entriesOf(store, key, tellOnce), (entry) => encodeLine(key, entry))
      )
    )
  })

// Hashes are spread evenly.
const prefixes = ({ prompts }: ListedIdentity, portion: number): ReadonlyArray<string> => {
  let found = [""]
  while (prompts > portion * found.length) found = found.flatMap((prefix) => digits.map((digit) => prefix + digit))
  return found
}

const digits = "0123456789abcdef".split("")

// Readers of JSON Lines take the type of a column from the first lines: a temperature is a number, then it may be absent.
const byName = (a: Identity, b: Identity): number =>
  Number(a.temperature === undefined) - Number(b.temperature === undefined) || compare(a.id, b.id)

const byHash = (a: Key, b: Key): number => compare(a.promptHash, b.promptHash) || compare(pathOf(a), pathOf(b))

const pathOf = ({ path }: Key): string => JSON.stringify(path)

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
