/** Selects models, prompts, forks and positions of a cache. */
import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Glob from "effect/Glob"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { UsageError } from "../errors.ts"
import { identityFields } from "../output/fields.ts"
import { forkLabel, modelLabel } from "../output/format.ts"
import { Output } from "../output/Output.ts"

export interface Selection {
  readonly isEverything: boolean
  readonly hasModel: (identity: Identity) => boolean
  readonly hasKey: (key: Key) => boolean
  /** Absent: every position. */
  readonly hasPosition: ((position: number) => boolean) | undefined
  readonly grep: RegExp | undefined
  /** The starts of the hashes of the prompts; none if prompts are not selected by their hash. */
  readonly hashes: ReadonlyArray<string>
}

/** The values of the flags and arguments of `flags.selection`. */
export interface Selected {
  readonly select: ReadonlyArray<string>
  readonly fork: Option.Option<string>
  readonly grep: Option.Option<string>
}

export const selectionOf = ({ fork, grep, select }: Selected): Effect.Effect<Selection, UsageError> =>
  Effect.gen(function*() {
    const models: Array<(identity: Identity) => boolean> = []
    const hashes: Array<string> = []
    const positions: Array<readonly [first: number, last: number]> = []
    for (const part of select) {
      if (part.startsWith("@")) positions.push(yield* rangeOf(part))
      else if (/^[0-9a-f]{4,64}$/i.test(part)) hashes.push(part.toLowerCase())
      else models.push(modelMatcher(part))
    }
    const isFork = Option.match(fork, { onNone: () => () => true, onSome: forkMatcher })
    const pattern = yield* Option.match(grep, {
      onNone: () => Effect.succeed(undefined),
      onSome: (text) =>
        Effect.try({
          try: () => new RegExp(text, "u"),
          catch: (cause) => new UsageError({ message: `--grep: ${(cause as Error).message}` })
        })
    })
    const hasModel = (identity: Identity) => models.length === 0 || models.some((matches) => matches(identity))
    return {
      isEverything: select.length === 0 && Option.isNone(fork) && Option.isNone(grep),
      hasModel,
      hasKey: (key) =>
        hasModel(key.identity) && isFork(key.path) &&
        (hashes.length === 0 || hashes.some((start) => key.promptHash.startsWith(start))),
      hasPosition: positions.length === 0
        ? undefined
        : (position) => positions.some(([first, last]) => position >= first && position <= last),
      grep: pattern,
      hashes
    }
  })

const rangeOf = (part: string): Effect.Effect<readonly [number, number], UsageError> => {
  const [, first, last = first] = /^@(\d{1,15})(?:-(\d{1,15}))?$/.exec(part) ?? []
  return first === undefined || Number(last) < Number(first)
    ? new UsageError({ message: `${part} names no positions: give one like @3, or some like @0-9` })
    : Effect.succeed([Number(first), Number(last)])
}

// A model is selected by its name or by the text that `ls` has for it, as they are or as a glob. Its name is no path: a `*`
// matches a `/` too.
const modelMatcher = (pattern: string) => {
  const glob = Glob.make(withoutSegments(pattern), { dot: true })
  return (identity: Identity) =>
    [identity.name, modelLabel(identityFields(identity))].some((text) =>
      text === pattern || Glob.match(glob, withoutSegments(text))
    )
}

const withoutSegments = (text: string): string => text.replaceAll("/", "\u2215")

const forkMatcher = (pattern: string) => {
  const glob = Glob.make(pattern, { dot: true })
  return (path: ReadonlyArray<string>): boolean => {
    const label = forkLabel(path)
    return label === pattern || path.length > 0 && Glob.match(glob, label)
  }
}

/** Whether a key is selected, by its prompt's text too. */
export const isSelected = (selection: Selection) => (key: Key): boolean =>
  selection.hasKey(key) && (selection.grep === undefined || selection.grep.test(key.prompt))

type ListedResult = Result.Result<SampleStore.Listed, StoreError>

/** The store with its selected samples alone. */
export const selected = (store: SampleStore.Store, selection: Selection): SampleStore.Store => {
  const { hasPosition } = selection
  const isKey = isSelected(selection)
  // A hash that begins with another one is selected by that one.
  const hashes = selection.hashes.filter((hash) =>
    !selection.hashes.some((other) => other !== hash && hash.startsWith(other))
  )
  const keys = (filter?: SampleStore.KeyFilter): Stream.Stream<ListedResult, StoreError> =>
    (hashes.length === 0
      ? store.keys(filter)
      : Stream.flatMap(Stream.fromIterable(new Set(hashes)), (promptHash) => store.keys({ ...filter, promptHash })))
      .pipe(Stream.filter((element) => Result.isFailure(element) || isKey(element.success.key)))
  if (hasPosition === undefined) return SampleStore.make({ ...store, keys })
  const positions = (key: Key) => Effect.map(store.positions(key), (positions) => positions.filter(hasPosition))
  return SampleStore.make({
    ...store,
    positions,
    keys: (filter) =>
      keys(filter).pipe(
        Stream.mapEffect((element): Effect.Effect<ListedResult, StoreError> =>
          Result.isFailure(element)
            ? Effect.succeed(element)
            : Effect.map(
              positions(element.success.key),
              ({ length }) => Result.succeed({ ...element.success, samples: length })
            )
        ),
        Stream.filter((element) => Result.isFailure(element) || element.success.samples > 0)
      )
  })
}

/** Says that nothing is selected, which is a miss: the exit code is 1. */
export const nothingSelected = (store: SampleStore.Store): Effect.Effect<void, never, Output> =>
  Effect.flatMap(Output, ({ found, note }) => Effect.andThen(note(`nothing is selected in ${store.id}`), found))
