/** Writes the output of commands: data to stdout, everything else to stderr. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { styleText } from "node:util"
import { OutputClosed } from "../errors.ts"
import { field, jsonLine, printable } from "./printable.ts"
import { type Column, header, type Layout, layoutOf, row } from "./table.ts"

/** Colors of a terminal. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow"

/** Writes to stdout and stderr. */
export class Output extends Context.Service<Output, {
  /** Whether stdout is a terminal, and `--json` is not given: `rows` are columns then. */
  readonly isTerminal: boolean
  /** Whether `--json` is given. */
  readonly isJson: boolean
  /** The columns of the terminal. */
  readonly width: number
  /** A text in a color, if stdout shows colors. */
  readonly style: (style: Style, text: string) => string
  /**
   * Writes rows as they come: columns on a terminal, the fields separated by tabs in a pipe, and with `--json` each as an object
   * in a line. The fields of a row are the fields of the object, in their order.
   */
  readonly rows: <Row extends object, E, R>(
    columns: ReadonlyArray<Column<Row>>,
    rows: Stream.Stream<Row, E, R>
  ) => Effect.Effect<void, E | OutputClosed, R>
  /** Writes the last line of a command: an object with `kind: "summary"`, or, without `--json`, a sentence to stderr. */
  readonly summary: (fields: object, sentence: string) => Effect.Effect<void, OutputClosed>
  /** Writes to stdout as it is. */
  readonly data: (text: string) => Effect.Effect<void, OutputClosed>
  /** Writes a line to stderr. */
  readonly note: (text: string) => Effect.Effect<void>
  /** Shows how far long work has come, in the last line of a terminal. `undefined` removes it. */
  readonly progress: (text: string | undefined) => Effect.Effect<void>
  /** Writes the last line of a command whose stdout belongs to another program: to stderr, with `--json` as an object. */
  readonly report: (fields: object, sentence: string) => Effect.Effect<void>
  /** Makes the exit code 1: there are differences, damage or misses. */
  readonly found: Effect.Effect<void>
  readonly exitWith: (code: number) => Effect.Effect<void>
  readonly exitCode: () => number
}>()("@llm-cache/cli/output/Output") {}

/** Rows that decide the widths of columns, and the longest time to wait for them. */
const group = 500
const groupTime = "200 millis"

/** The time before the first line of progress, and between two of them, in milliseconds. */
const progressTime = 250

export const layerOutput = (isJson: boolean): Layer.Layer<Output> =>
  Layer.sync(Output, () => {
    const { stderr, stdout } = process
    const isTerminal = stdout.isTTY && !isJson
    const width = stdout.columns || 80
    let exitCode = 0
    let isClosed = false
    let shownAt: number | undefined
    let isShown = false

    // Without a listener, an `EPIPE` ends the process with a stack trace.
    const onError = () => void (isClosed = true)
    stdout.on("error", onError)
    stderr.on("error", () => {})

    const data = (text: string): Effect.Effect<void, OutputClosed> =>
      Effect.callback((resume) => {
        if (isClosed) return resume(Effect.fail(new OutputClosed()))
        clearProgress()
        stdout.write(text, (error) => resume(error ? Effect.fail(new OutputClosed()) : Effect.void))
      })

    const clearProgress = () => {
      if (isShown) stderr.write("\r\x1b[K")
      isShown = false
    }

    const rendered = <Row extends object>(columns: ReadonlyArray<Column<Row>>) => {
      let layout: Layout | undefined
      return (rows: ReadonlyArray<Row>): string => {
        if (isJson) return rows.map((row) => `${jsonLine(row)}\n`).join("")
        if (!isTerminal) return rows.map((row) => `${Object.values(row).map(cell).join("\t")}\n`).join("")
        const lines: Array<string> = []
        if (layout === undefined) {
          layout = layoutOf(columns, rows, width)
          const titles = header(columns, layout)
          if (titles !== undefined) lines.push(style("bold", titles))
        }
        for (const one of rows) lines.push(row(columns, one, layout))
        return `${lines.join("\n")}\n`
      }
    }

    const style = (style: Style, text: string): string => styleText(style, text, { stream: stdout })

    return {
      isTerminal,
      isJson,
      width,
      style,
      data,
      rows: (columns, rows) => {
        const render = rendered(columns)
        return Stream.runForEach(Stream.groupedWithin(rows, group, groupTime), (some) => data(render(some)))
      },
      summary: (fields, sentence) => isJson ? data(`${jsonLine({ kind: "summary", ...fields })}\n`) : note(sentence),
      note,
      progress: (text) =>
        !stderr.isTTY ? Effect.void : Effect.map(Clock.currentTimeMillis, (now) => {
          if (text === undefined) return clearProgress()
          if (now - (shownAt ??= now) < progressTime) return
          shownAt = now
          isShown = true
          stderr.write(`\r${printable(text).slice(0, (stderr.columns || 80) - 1)}\x1b[K`)
        }),
      report: (fields, sentence) =>
        isJson ? Effect.sync(() => void stderr.write(`${jsonLine(fields)}\n`)) : note(sentence),
      found: Effect.sync(() => void (exitCode = 1)),
      exitWith: (code) => Effect.sync(() => void (exitCode = code)),
      exitCode: () => exitCode
    }

    function note(text: string): Effect.Effect<void> {
      return Effect.sync(() => {
        clearProgress()
        stderr.write(`llm-cache: ${printable(text, { lines: true })}\n`)
      })
    }
  })

const cell = (value: unknown): string =>
  value === null || value === undefined
    ? ""
    : field(typeof value === "string" ? value : JSON.stringify(value))
