import type { Output } from "../../Progress.ts"

/** A line at the bottom of a terminal that changes in place, beneath everything else that a program prints. */
export interface TerminalLine {
  readonly show: (text: string) => void
  /** Prints the last text as a usual line, and lets go of the terminal. */
  readonly close: (text: string) => void
}

/** A stream to the terminal, such as `process.stdout`. */
export interface Printer {
  write: (chunk: string | Uint8Array, ...others: Array<never>) => boolean
}

const clear = "\r\x1b[2K"

/**
 * Makes the line of an output. Everything that the program prints to `printers` is printed above the line.
 *
 * Programs print by `Console.log`, by loggers and by `console.log`, which have only the streams in common.
 */
export const makeTerminalLine = (output: Output, printers: ReadonlyArray<Printer>): TerminalLine => {
  const restores: Array<() => void> = []
  const write = writerOf(output)
  let line = ""
  let isShown = false
  // Whether the program's text stops in the middle of a line, such as at a question.
  let isMidLine = false
  const show = (): void => {
    if (isMidLine || line === "") return
    write(`${clear}${line}`)
    isShown = true
  }
  for (const printer of printers) {
    const print = printer.write
    const printAbove: Printer["write"] = (chunk, ...others) => {
      if (isShown) write(clear)
      isShown = false
      const result = print.call(printer, chunk, ...others)
      if (chunk.length > 0) isMidLine = chunk.at(-1) !== "\n" && chunk.at(-1) !== 0x0a
      show()
      return result
    }
    printer.write = printAbove
    restores.push(() => {
      if (printer.write === printAbove) printer.write = print
    })
  }
  return {
    show: (text) => {
      line = text.slice(0, (output.columns || 80) - 1)
      show()
    },
    close: (text) => {
      line = ""
      for (const restore of restores) restore()
      write(`${isMidLine ? "\n" : clear}${text}\n`)
    }
  }
}

/** Prints each text as a line, for an output that is no terminal. */
export const makeLog = (output: Output): TerminalLine => {
  const write = writerOf(output)
  const print = (text: string) => write(`${text}\n`)
  return { show: print, close: print }
}

const writerOf = (output: Output) => {
  const write = output.write.bind(output)
  return (text: string): void => {
    try {
      write(text)
    } catch {
      // The program goes on after its console has closed.
    }
  }
}

/** The streams of this process that share a terminal with an output. */
export const printersBeside = (output: Output): ReadonlyArray<Printer> => {
  if (typeof process === "undefined") return []
  const streams = [process.stdout, process.stderr]
  return streams.some((stream) => stream === output) ? streams.filter(({ isTTY }) => isTTY) : []
}
