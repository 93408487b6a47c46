import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { damaged, listed } from "../cache/samples.ts"
import { nothingSelected, selected, type Selection, selectionOf } from "../cache/selection.ts"
import * as flags from "../flags.ts"
import { type IdentityFields, identityFields } from "../output/fields.ts"
import { ago, count, isoTime, modelLabel, ranges } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { excerpt, printable } from "../output/printable.ts"

export const command = Command.make(
  "ls",
  { ...flags.selection, cache: flags.cache },
  Effect.fnUntraced(function*(input) {
    const selection = yield* selectionOf(input)
    const store = yield* openCache(input.cache, "read")
    yield* selection.isEverything ? listModels(store) : listPrompts(store, selection)
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
  /** `null` where the store would have to read every sample, as a directory would. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly last: string | null
}

const listModels = Effect.fnUntraced(function*(store: Store) {
  const output = yield* Output
  const now = yield* Clock.currentTimeMillis
  const rows = yield* modelRows(store)
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

const modelRows = (store: Store): Effect.Effect<ReadonlyArray<ModelRow>, StoreError, Output> =>
  store.identities.pipe(
    Stream.mapEffect((element) =>
      Result.isSuccess(element) ? Effect.succeed([element.success]) : Effect.as(damaged(element.failure), [])
    ),
    Stream.flattenIterable,
    Stream.map(({ identity, last, ...counts }): ModelRow => ({
      ...identityFields(identity),
      prompts: counts.prompts,
      samples: counts.samples,
      forks: counts.forks,
      inputTokens: counts.inputTokens ?? null,
      outputTokens: counts.outputTokens ?? null,
      last: isoTime(last)
    })),
    Stream.runCollect,
    Effect.map((rows) => rows.sort(byModel))
  )

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
  const rows = yield* promptRows(selected(store, selection))
  if (rows.length === 0) yield* nothingSelected(store)
  yield* output.rows<PromptRow, never, never>(
    [
      { title: "MODEL", text: (row) => printable(modelLabel(row)), shrinks: true },
      { title: "HASH", text: ({ hash }) => hash.slice(0, 8) },
      { title: "SAMPLES", text: ({ samples }) => count(samples), align: "right" },
      { title: "FORKS", text: ({ forks }) => count(forks), align: "right" },
      { title: "POSITIONS", text: ({ positions }) => ranges(positions), shrinks: true },
      { title: "PROMPT", text: ({ prompt }) => excerpt(prompt), shrinks: true }
    ],
    Stream.fromIterable(rows)
  )
})

const promptRows = (store: Store): Effect.Effect<ReadonlyArray<PromptRow>, StoreError, Output> =>
  Effect.gen(function*() {
    const prompts = new Map<string, PromptRow & { readonly all: Set<number> }>()
    yield* Stream.runForEach(listed(store), ({ key }) =>
      Effect.gen(function*() {
        const found = yield* store.positions(key)
        if (found.length === 0) return
        const name = `${key.identity.id}\n${key.promptHash}`
        const known = prompts.get(name)
        const all = new Set([...known?.all ?? [], ...found])
        prompts.set(name, {
          ...identityFields(key.identity),
          hash: key.promptHash,
          prompt: key.prompt,
          samples: (known?.samples ?? 0) + found.length,
          positions: [],
          forks: (known?.forks ?? 0) + (key.path.length > 0 ? 1 : 0),
          all
        })
      }))
    return Array.from(prompts.values(), ({ all, ...row }): PromptRow => ({
      ...row,
      positions: [...all].sort((a, b) => a - b)
    })).sort((a, b) => byModel(a, b) || b.samples - a.samples || (a.hash < b.hash ? -1 : 1))
  })
