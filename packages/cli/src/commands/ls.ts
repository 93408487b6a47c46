import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { ListedIdentity, Store } from "@llm-cache/core/SampleStore"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { damaged, listed } from "../cache/samples.ts"
import { nothingSelected, selected, type Selection, selectionOf } from "../cache/selection.ts"
import { withTokens } from "../cache/tokens.ts"
import * as flags from "../flags.ts"
import { type IdentityFields, identityFields } from "../output/fields.ts"
import { ago, count, isoTime, modelLabel, ranges } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { excerpt, printable } from "../output/printable.ts"

export const command = Command.make(
  "ls",
  { ...flags.selection, cache: flags.cache, tokens: flags.tokens },
  Effect.fnUntraced(function*(input) {
    const selection = yield* selectionOf(input)
    const store = yield* openCache(input.cache, "read")
    yield* selection.isEverything ? listModels(store, input.tokens) : listPrompts(store, selection)
  })
).pipe(
  Command.withDescription("Lists the models of a cache, or the prompts of a selection"),
  Command.withExamples([
    { command: "llm-cache ls", description: "The models of the default cache" },
    { command: "llm-cache ls 'gpt-4o*' --cache samples.db", description: "The prompts of some models" },
    { command: "llm-cache ls --grep 'number between'", description: "The prompts with a text" }
  ])
)

interface ModelRow extends IdentityFields {
  readonly prompts: number
  readonly samples: number
  readonly forks: number
  /** `null` if there are too many prompts to read every sample of a store without counts, such as a directory. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly last: string | null
}

const listModels = Effect.fnUntraced(function*(store: Store, hasTokens: boolean) {
  const output = yield* Output
  const now = yield* Clock.currentTimeMillis
  const rows = yield* modelRows(store, hasTokens)
  if (rows.some(({ inputTokens }) => inputTokens === null)) {
    yield* output.note("the tokens of many prompts take time here: --tokens counts them")
  }
  if (rows.length === 0) yield* output.note(`no samples in ${store.id}`)
  yield* output.rows<ModelRow, never, never>(
    [
      { title: "MODEL", text: (row) => printable(modelLabel(row)), shrinks: true },
      { title: "PROMPTS", text: ({ prompts }) => count(prompts), align: "right" },
      { title: "SAMPLES", text: ({ samples }) => count(samples), align: "right" },
      { title: "FORKS", text: ({ forks }) => count(forks), align: "right" },
      {
        title: "TOKENS IN/OUT",
        text: ({ inputTokens, outputTokens }) =>
          inputTokens === null && outputTokens === null ? "" : `${count(inputTokens)}/${count(outputTokens)}`,
        align: "right"
      },
      { title: "LAST", text: ({ last }) => ago(last, now) }
    ],
    Stream.fromIterable(rows)
  )
})

const modelRows = (
  store: Store,
  hasTokens: boolean
): Effect.Effect<ReadonlyArray<ModelRow>, StoreError, Output> =>
  store.identities.pipe(
    Stream.mapEffect((element) =>
      Result.isSuccess(element)
        ? Effect.map(withTokens(store, element.success, hasTokens), (counts) => [rowOfModel(counts)])
        : Effect.as(damaged(element.failure), [])
    ),
    Stream.flattenIterable,
    Stream.runCollect,
    Effect.map((rows) => rows.sort(byModel))
  )

const rowOfModel = ({ identity, last, ...counts }: ListedIdentity): ModelRow => ({
  ...identityFields(identity),
  prompts: counts.prompts,
  samples: counts.samples,
  forks: counts.forks,
  inputTokens: counts.inputTokens ?? null,
  outputTokens: counts.outputTokens ?? null,
  last: isoTime(last)
})

const byModel = (one: IdentityFields, other: IdentityFields): number => {
  const [a, b] = [modelLabel(one), modelLabel(other)]
  return a < b ? -1 : a > b ? 1 : 0
}

interface PromptRow extends IdentityFields {
  readonly hash: string
  readonly prompt: string
  readonly samples: number
  /** All positions that have a sample, in any fork. */
  readonly positions: ReadonlyArray<number>
  readonly forks: number
}

const listPrompts = Effect.fnUntraced(function*(store: Store, selection: Selection) {
  const output = yield* Output
  const found = selected(store, selection)
  const rows = (yield* isLong(store, selection))
    ? Stream.mapEffect(
      listed(found),
      ({ key }) => Effect.map(found.positions(key), (positions) => rowOf(key, positions))
    )
    : Stream.unwrap(Effect.map(sortedRows(found), Stream.fromIterable))
  let written = 0
  yield* output.rows<PromptRow, StoreError, Output>(
    [
      { title: "MODEL", text: (row) => printable(modelLabel(row)), shrinks: true },
      { title: "HASH", text: ({ hash }) => hash.slice(0, 8) },
      { title: "SAMPLES", text: ({ samples }) => count(samples), align: "right" },
      { title: "FORKS", text: ({ forks }) => count(forks), align: "right" },
      { title: "POSITIONS", text: ({ positions }) => ranges(positions), shrinks: true },
      { title: "PROMPT", text: ({ prompt }) => excerpt(prompt), shrinks: true }
    ],
    Stream.tap(rows, () => Effect.sync(() => written++))
  )
  if (written === 0) yield* nothingSelected(store)
})

/** The most prompts that are sorted, in memory. */
const mostSorted = 2000

// Without forks, a key is a row, so that the rows can be written as the store lists them.
const isLong = (store: Store, selection: Selection): Effect.Effect<boolean, StoreError> =>
  store.identities.pipe(
    Stream.filterMap((element) =>
      Result.isSuccess(element) && selection.hasModel(element.success.identity)
        ? Result.succeed(element.success)
        : Result.fail(undefined)
    ),
    Stream.runFold(
      () => ({ prompts: 0, forks: 0 }),
      (sum, { forks, prompts }) => ({ prompts: sum.prompts + prompts, forks: sum.forks + forks })
    ),
    Effect.map(({ forks, prompts }) => prompts > mostSorted && forks === 0)
  )

const rowOf = (key: Key, positions: ReadonlyArray<number>): PromptRow => ({
  ...identityFields(key.identity),
  hash: key.promptHash,
  prompt: key.prompt,
  samples: positions.length,
  positions,
  forks: key.path.length > 0 ? 1 : 0
})

/** The rows in order, with those of a prompt's forks added up. */
const sortedRows = (store: Store): Effect.Effect<ReadonlyArray<PromptRow>, StoreError, Output> =>
  Effect.gen(function*() {
    const prompts = new Map<string, PromptRow>()
    yield* Stream.runForEach(listed(store), ({ key }) =>
      Effect.map(store.positions(key), (positions) => {
        if (positions.length === 0) return
        const name = `${key.identity.id}\n${key.promptHash}`
        const known = prompts.get(name)
        const row = rowOf(key, positions)
        prompts.set(
          name,
          known === undefined ? row : {
            ...row,
            samples: known.samples + row.samples,
            positions: [...new Set([...known.positions, ...positions])].sort((a, b) => a - b),
            forks: known.forks + row.forks
          }
        )
      }))
    return [...prompts.values()].sort((a, b) => byModel(a, b) || b.samples - a.samples || (a.hash < b.hash ? -1 : 1))
  })
