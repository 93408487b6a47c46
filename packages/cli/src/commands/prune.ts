import type { Key } from "@llm-cache/core/Key"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Transfer from "@llm-cache/core/Transfer"
import * as Arr from "effect/Array"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { damaged, listed } from "../cache/samples.ts"
import { nothingSelected, selected, selectionOf } from "../cache/selection.ts"
import { UsageError } from "../errors.ts"
import * as flags from "../flags.ts"
import { type KeyFields, keyFields } from "../output/fields.ts"
import { count, forkLabel, modelLabel, plural, ranges } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { excerpt, printable } from "../output/printable.ts"
import { progressOf } from "../output/progressOf.ts"

export const command = Command.make(
  "prune",
  {
    ...flags.selection,
    damaged: Flag.Boolean("damaged").pipe(
      Flag.withoutNegation,
      Flag.withDefault(false),
      Flag.withDescription("Only damaged samples, so that their positions are drawn again")
    ),
    yes: flags.yes,
    cache: flags.cache
  },
  Effect.fnUntraced(function*(input) {
    const output = yield* Output
    const selection = yield* selectionOf(input)
    if (selection.isEverything && !input.damaged) {
      return yield* new UsageError({
        message: "say what to delete: a selection ('*' for everything), or --damaged"
      })
    }
    const cache = yield* openCache(input.cache, "read")
    const store = selected(cache, selection)
    const chosen = input.damaged ? damagedSamples(store) : allSamples(store)
    let samples = 0
    const rows = chosen.pipe(
      Stream.tap(({ key, positions }) =>
        input.yes
          ? Effect.forEach(Arr.chunksOf(positions, chunk), (some) => cache.remove(key, some), { discard: true })
          : Effect.void
      ),
      Stream.map(({ key, positions }): Row => {
        samples += positions.length
        return { ...keyFields(key), prompt: key.prompt, positions, samples: positions.length }
      })
    )
    yield* output.rows(
      [
        { title: "MODEL", text: (row) => printable(modelLabel(row)), shrinks: true },
        { title: "FORK", text: ({ fork }) => printable(forkLabel(fork)), shrinks: true },
        { title: "HASH", text: ({ hash }) => hash.slice(0, 8) },
        { title: "SAMPLES", text: ({ samples }) => count(samples), align: "right" },
        { title: "POSITIONS", text: ({ positions }) => ranges(positions), shrinks: true },
        { title: "PROMPT", text: ({ prompt }) => excerpt(prompt), shrinks: true }
      ],
      rows
    )
    if (samples === 0 && !selection.isEverything) return yield* nothingSelected(cache)
    yield* output.summary(
      { samples, deleted: input.yes ? samples : 0, done: input.yes },
      input.yes
        ? `deleted ${plural(samples, "sample")}`
        : `nothing was deleted: add --yes to delete ${plural(samples, "sample")}`
    )
  })
).pipe(
  Command.withDescription(
    "Deletes samples, so that their positions are drawn again. Without --yes it only shows which"
  ),
  Command.withExamples([
    { command: "llm-cache prune f1d8 @3", description: "Shows what would be deleted" },
    { command: "llm-cache prune f1d8 @3 --yes", description: "Deletes it" },
    { command: "llm-cache prune --damaged --yes", description: "Deletes every damaged sample" }
  ])
)

/** The most positions that are deleted at once. */
const chunk = 1000

interface Chosen {
  readonly key: Key
  readonly positions: Arr.NonEmptyReadonlyArray<number>
}

interface Row extends KeyFields {
  readonly prompt: string
  readonly positions: ReadonlyArray<number>
  readonly samples: number
}

const allSamples = (store: Store) =>
  listed(store).pipe(
    Stream.mapEffect(({ key }) => Effect.map(store.positions(key), (positions) => ({ key, positions }))),
    Stream.filter((chosen): chosen is Chosen => chosen.positions.length > 0)
  )

const damagedSamples = (store: Store) =>
  Stream.unwrap(Effect.gen(function*() {
    const output = yield* Output
    const verified = yield* Transfer.verify(store, { onProgress: progressOf(output, "read") })
    yield* output.progress(undefined)
    const found = new Map<Key, Array<number>>()
    for (const error of verified.damaged) {
      const { key, position } = error
      // A file without a key and a position is left to the user.
      if (key === undefined || position === undefined) yield* damaged(error)
      else found.set(key, [...found.get(key) ?? [], position])
    }
    return Stream.fromIterable(found).pipe(
      Stream.map(([key, positions]) => ({ key, positions } as unknown as Chosen))
    )
  }))
