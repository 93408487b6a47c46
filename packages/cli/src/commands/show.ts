import type { Key } from "@llm-cache/core/Key"
import type { Entry, Metadata } from "@llm-cache/core/Sample"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { openCache } from "../cache/openCache.ts"
import { listed, samplesAt } from "../cache/samples.ts"
import { nothingSelected, selected, selectionOf } from "../cache/selection.ts"
import { UsageError } from "../errors.ts"
import * as flags from "../flags.ts"
import { type KeyFields, keyFields } from "../output/fields.ts"
import { ago, count, forkLabel, isoTime, modelLabel } from "../output/format.ts"
import { Output } from "../output/Output.ts"
import { excerpt, indent, printable } from "../output/printable.ts"
import { readablePrompt } from "../output/readablePrompt.ts"

export const command = Command.make(
  "show",
  {
    ...flags.selection,
    grep: flags.selection.grep.pipe(
      Flag.withDescription("Only samples whose text or prompt matches this regular expression")
    ),
    raw: Flag.Boolean("raw").pipe(
      Flag.withoutNegation,
      Flag.withDefault(false),
      Flag.withDescription("Write the text of one sample to a pipe or a file, to the byte")
    ),
    cache: flags.cache
  },
  Effect.fnUntraced(function*(input) {
    const { grep, ...selection } = yield* selectionOf(input)
    if (selection.isEverything) {
      return yield* new UsageError({
        message: "say what to show: a prompt, by the first digits of its hash, or a model"
      })
    }
    const cache = yield* openCache(input.cache, "read")
    const store = selected(cache, { ...selection, grep: undefined })
    const samples = listed(store).pipe(
      Stream.flatMap(({ key }) =>
        Stream.unwrap(Effect.map(store.positions(key), (positions) => samplesAt(store, key, positions))).pipe(
          Stream.filter(({ drawn }) => grep === undefined || grep.test(key.prompt) || grep.test(drawn.text)),
          Stream.map((entry): Shown => ({ key, entry }))
        )
      )
    )
    if (input.raw) return yield* writeRaw(samples)
    const { isTerminal } = yield* Output
    let shown = 0
    const counted = Stream.tap(samples, () => Effect.sync(() => shown++))
    yield* isTerminal ? writeTexts(counted) : writeRows(counted)
    if (shown === 0) yield* nothingSelected(cache)
  })
).pipe(
  Command.withDescription("Shows samples with their texts"),
  Command.withExamples([
    { command: "llm-cache show f1d8", description: "All samples of the prompt whose hash starts with f1d8" },
    { command: "llm-cache show gpt-4o f1d8 @0-9 --fork ''", description: "Ten samples of one model, outside of forks" },
    { command: "llm-cache show gpt-4o f1d8 @0 --fork '' --raw > answer.txt", description: "A text, to the byte" }
  ])
)

interface Shown {
  readonly key: Key
  readonly entry: Entry
}

interface Row extends KeyFields {
  readonly prompt: string
  readonly position: number
  readonly text: string
  readonly metadata: Metadata
}

const writeRows = <E, R>(samples: Stream.Stream<Shown, E, R>) =>
  Effect.flatMap(Output, ({ rows }) =>
    rows<Row, E, R>(
      [],
      Stream.map(samples, ({ entry: { drawn, position }, key }) => ({
        ...keyFields(key),
        prompt: key.prompt,
        position,
        text: drawn.text,
        metadata: drawn.metadata
      }))
    ))

const writeRaw = Effect.fnUntraced(function*<E, R>(samples: Stream.Stream<Shown, E, R>) {
  const { data, isJson, isTerminal } = yield* Output
  if (isTerminal || isJson) {
    return yield* new UsageError({
      message: "--raw writes the text as it is, to a pipe or a file: leave it out on a terminal, and with --json"
    })
  }
  const [first, ...others] = yield* Stream.runCollect(Stream.take(samples, 2))
  if (first === undefined || others.length > 0) {
    return yield* new UsageError({
      message: `--raw writes one sample, and ${first === undefined ? "none is" : "several are"} selected: ` +
        "select one by model, prompt, position (@0) and fork (--fork '' outside of forks)"
    })
  }
  yield* data(first.entry.drawn.text)
})

// For people: the key once, and below it its samples.
const writeTexts = Effect.fnUntraced(function*<E, R>(samples: Stream.Stream<Shown, E, R>) {
  const { data, style } = yield* Output
  const now = yield* Clock.currentTimeMillis
  let last: Key | undefined
  yield* Stream.runForEach(samples, ({ entry: { drawn, position }, key }) => {
    let text = ""
    if (key !== last) {
      if (last !== undefined) text += "\n"
      last = key
      const fork = key.path.length === 0 ? "" : `, fork ${forkLabel(key.path)}`
      text += `${style("bold", printable(`${modelLabel(keyFields(key))}${fork}, prompt ${key.promptHash}`))}\n`
      text += `${indented(readablePrompt(key))}\n\n`
    }
    const about = describe(drawn.metadata, now)
    text += `${style("bold", `@${position}`)}${about === "" ? "" : `  ${style("dim", printable(about))}`}\n`
    for (const name of ["reasoning", "refusal"] as const) {
      const value = drawn.metadata[name]
      if (value !== undefined) text += `  ${style("dim", `${name}:`)}\n${style("dim", indented(value))}\n`
    }
    text += `${drawn.text === "" ? `  ${style("dim", "(empty)")}` : indented(drawn.text)}\n`
    // Tool calls and the like. JSON has them whole.
    for (const [name, value] of Object.entries(drawn.metadata.rest ?? {})) {
      text += `  ${style("dim", `${printable(name)}: ${excerpt(JSON.stringify(value))}`)}\n`
    }
    return data(text)
  })
})

const describe = ({ createdAt, finishReason, inputTokens, outputTokens }: Metadata, now: number): string =>
  [
    finishReason ?? "",
    inputTokens === undefined && outputTokens === undefined
      ? ""
      : `${count(inputTokens)}/${count(outputTokens)} tokens`,
    ago(isoTime(createdAt), now)
  ].filter((part) => part !== "").join(", ")

const indented = (text: string): string => indent(printable(text, { lines: true }))
