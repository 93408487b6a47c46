import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Identity } from "../../Identity.ts"
import type { StoreError } from "../../SampleError.ts"
import type { Listed, ListedIdentity } from "../../SampleStore.ts"

type Keys = Stream.Stream<Result.Result<Listed, StoreError>, StoreError>

interface Count {
  readonly identity: Identity
  readonly prompts: Set<string>
  readonly forks: Set<string>
  samples: number
}

/** The identities of keys, each once. Keys that cannot be read stay failures among the elements. */
export const countKeys = (keys: Keys): Stream.Stream<Result.Result<ListedIdentity, StoreError>, StoreError> =>
  Stream.suspend(() => {
    const counts = new Map<string, Count>()
    const failures = Stream.filterMap(keys, (element) => {
      if (Result.isFailure(element)) return Result.succeed(Result.fail(element.failure))
      const { key: { identity, path, promptHash }, samples } = element.success
      let count = counts.get(identity.id)
      if (count === undefined) {
        counts.set(identity.id, count = { identity, prompts: new Set(), forks: new Set(), samples: 0 })
      }
      count.prompts.add(promptHash)
      if (path.length > 0) count.forks.add(JSON.stringify(path))
      count.samples += samples
      return Result.failVoid
    })
    return Stream.concat(
      failures,
      Stream.suspend(() =>
        Stream.fromIterable(counts.values()).pipe(
          Stream.map(({ forks, identity, prompts, samples }) =>
            Result.succeed({ identity, prompts: prompts.size, samples, forks: forks.size })
          )
        )
      )
    )
  })
