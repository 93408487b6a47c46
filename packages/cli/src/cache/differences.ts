/** The differences of two caches, for `diff` and for the preview of `merge`. */
import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Transfer from "@llm-cache/core/Transfer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { OutputClosed } from "../errors.ts"
import { type KeyFields, keyFields } from "../output/fields.ts"
import { forkLabel, modelLabel, ranges } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { indent, printable } from "../output/printable.ts"
import { wordDifference } from "../output/wordDifference.ts"
import { damaged } from "./samples.ts"

export type Kind = "onlyA" | "onlyB" | "different"

export interface Differences {
  readonly same: number
  readonly onlyA: number
  readonly onlyB: number
  readonly different: number
  readonly damaged: number
}

interface Row extends KeyFields {
  readonly kind: Kind
  readonly position: number
  readonly textA?: string
  readonly textB?: string
}

interface Found {
  readonly kind: Kind
  readonly key: Key
  readonly position: number
  /** The texts, if they differ. */
  readonly texts: readonly [a: string, b: string] | undefined
}

/** Compares two caches, writes the differences of some kinds, and counts all. */
export const writeDifferences = (
  a: Store,
  b: Store,
  kinds: ReadonlyArray<Kind>,
  titles: { readonly [kind in Kind]: string },
  withTexts = false
): Effect.Effect<Differences, StoreError | OutputClosed, Output> =>
  Effect.gen(function*() {
    const output = yield* Output
    const counts = { same: 0, onlyA: 0, onlyB: 0, different: 0, damaged: 0 }
    let done = 0
    const differences = Transfer.compare(a, b).pipe(
      Stream.tap(() => output.progress(`compared ${++done} samples`)),
      Stream.mapEffect((compared): Effect.Effect<ReadonlyArray<Found>, never, Output> => {
        if (compared.kind === "damaged") {
          counts.damaged++
          return Effect.as(damaged(compared.error), [])
        }
        const kind = compared.kind === "onlyFirst" ? "onlyA" : compared.kind === "onlySecond" ? "onlyB" : compared.kind
        counts[kind]++
        if (kind === "same" || !kinds.includes(kind)) return Effect.succeed([])
        const { key, position } = compared
        const texts = compared.kind === "different" && withTexts
          ? [compared.first.text, compared.second.text] as const
          : undefined
        return Effect.succeed([{ kind, key, position, texts }])
      }),
      Stream.flattenIterable,
      Stream.tap(() => output.found)
    )
    if (output.isTerminal && withTexts) {
      yield* Stream.runForEach(groups(differences), (group) => output.data(paragraph(group, titles, output)))
    } else if (output.isTerminal) {
      yield* output.rows(
        [
          { title: "DIFFERENCE", text: ({ kind }) => titles[kind] },
          { title: "MODEL", text: ({ key }) => printable(modelLabel(keyFields(key))), shrinks: true },
          { title: "FORK", text: ({ key }) => printable(forkLabel(key.path)), shrinks: true },
          { title: "HASH", text: ({ key }) => key.promptHash.slice(0, 8) },
          { title: "POSITIONS", text: ({ positions }) => ranges(positions), shrinks: true }
        ],
        groups(differences)
      )
    } else {
      yield* output.rows<Row, StoreError, Output>(
        [],
        Stream.map(differences, ({ key, kind, position, texts }) => ({
          kind,
          ...keyFields(key),
          position,
          ...texts && { textA: texts[0], textB: texts[1] }
        }))
      )
    }
    yield* output.progress(undefined)
    return counts
  })

interface Group extends Omit<Found, "position"> {
  readonly positions: ReadonlyArray<number>
}

/** Neighbours of one kind and key as one element, unless their texts are shown. */
const groups = <E, R>(differences: Stream.Stream<Found, E, R>): Stream.Stream<Group, E, R> =>
  Stream.groupAdjacentBy(
    differences,
    ({ key, kind, position, texts }) =>
      JSON.stringify([kind, key.identity.id, key.promptHash, key.path, texts && position])
  ).pipe(
    Stream.map(([, group]) => ({ ...group[0], positions: group.map(({ position }) => position) }))
  )

const paragraph = (
  { key, kind, positions, texts }: Group,
  titles: { readonly [kind in Kind]: string },
  { style }: Output["Service"]
): string => {
  const fork = key.path.length === 0 ? "" : `, fork ${forkLabel(key.path)}`
  const place = `${modelLabel(keyFields(key))}${fork}, prompt ${key.promptHash.slice(0, 8)} @${ranges(positions)}`
  const title = style("bold", `${titles[kind]}  ${printable(place)}`)
  return texts === undefined ? `${title}\n` : `${title}\n${indent(wordDifference(...texts, style))}\n`
}
