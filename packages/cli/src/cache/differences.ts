/** The differences of two caches, for `diff` and for what `merge` would do. */
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
import { printable } from "../output/printable.ts"
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
  readonly position: number
}

interface Found {
  readonly kind: Kind
  readonly key: Key
  readonly position: number
}

/** Compares two caches, writes the differences of some kinds, and counts all. */
export const writeDifferences = (
  a: Store,
  b: Store,
  kinds: ReadonlyArray<Kind>,
  titles: { readonly [kind in Kind]: string }
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
        return Effect.succeed(
          kind !== "same" && kinds.includes(kind) ? [{ kind, key: compared.key, position: compared.position }] : []
        )
      }),
      Stream.flattenIterable,
      Stream.tap(() => output.found)
    )
    yield* output.isTerminal
      ? output.rows(
        [
          { title: "DIFFERENCE", text: ({ kind }) => titles[kind] },
          { title: "MODEL", text: ({ key }) => printable(modelLabel(keyFields(key))), shrinks: true },
          { title: "FORK", text: ({ key }) => printable(forkLabel(key.path)), shrinks: true },
          { title: "HASH", text: ({ key }) => key.promptHash.slice(0, 8) },
          { title: "POSITIONS", text: ({ positions }) => ranges(positions), shrinks: true }
        ],
        groups(differences)
      )
      : output.rows<Row & { readonly kind: Kind }, StoreError, Output>(
        [],
        Stream.map(differences, ({ key, kind, position }) => ({ kind, ...keyFields(key), position }))
      )
    yield* output.progress(undefined)
    return counts
  })

/** Neighbours of one kind and key as one element. */
const groups = <E, R>(differences: Stream.Stream<Found, E, R>) =>
  Stream.groupAdjacentBy(
    differences,
    ({ key, kind }) => `${kind} ${key.identity.id} ${key.promptHash} ${key.path.join("\n")}`
  )
    .pipe(
      Stream.map(([, group]) => ({
        kind: group[0].kind,
        key: group[0].key,
        positions: group.map(({ position }) => position)
      }))
    )
