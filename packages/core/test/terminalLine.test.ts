import { assert, describe, it } from "@effect/vitest"
import { makeTerminalLine, type Printer, printersBeside } from "../src/internal/events/terminalLine.ts"

/** The lines that a terminal shows after some writes, without empty ones at the end. */
const makeTerminal = (columns: number) => {
  const lines: Array<string> = [""]
  let at = 0
  const write = (text: string | Uint8Array): boolean => {
    const shown = typeof text === "string" ? text : new TextDecoder().decode(text)
    for (const token of shown.replaceAll("\x1b[2K", "\0")) {
      const row = lines.length - 1
      if (token === "\0") lines[row] = ""
      else if (token === "\r") at = 0
      else if (token === "\n") {
        lines.push("")
        at = 0
      } else {
        if (at === columns) {
          lines.push("")
          at = 0
        }
        const last = lines.length - 1
        lines[last] = lines[last]!.slice(0, at).padEnd(at) + token + lines[last]!.slice(at + 1)
        at++
      }
    }
    return true
  }
  return { screen: () => lines.map((line) => line.trimEnd()), output: { write, isTTY: true, columns } }
}

/** A stream to the same terminal. */
const beside = (output: { readonly write: (text: string | Uint8Array) => boolean }): Printer => ({
  write: (chunk) => output.write(chunk)
})

const progress = "3 in flight, 118 requests, 1204 hits, 356 misses, 41230 + 99713 tokens, 5.9 samples/s"

describe.each([40, 80])("a line at the bottom of a terminal of %i columns", (columns) => {
  const shown = progress.slice(0, columns - 1)

  it("stays below the lines that the program prints to any stream, and leaves nothing of itself in them", () => {
    const { output, screen } = makeTerminal(columns)
    const [stdout, stderr] = [beside(output), output]
    const line = makeTerminalLine(output, [stdout, stderr])
    stdout.write("before\n")
    assert.deepStrictEqual(screen(), ["before", ""])
    line.show(progress)
    stdout.write("one\n")
    stderr.write("two\n")
    stdout.write(new TextEncoder().encode("three\nfour\n"))
    assert.deepStrictEqual(screen(), ["before", "one", "two", "three", "four", shown])
    line.show("done")
    assert.deepStrictEqual(screen(), ["before", "one", "two", "three", "four", "done"])
    line.close(`${progress}, the end`)
    const last = [`${progress}, the end`.slice(0, columns), `${progress}, the end`.slice(columns)]
    assert.deepStrictEqual(screen().slice(0, 6), ["before", "one", "two", "three", "four", last[0]!.trimEnd()])
  })

  it("waits until the program has ended its own line", () => {
    const { output, screen } = makeTerminal(columns)
    const stdout = beside(output)
    const line = makeTerminalLine(output, [stdout])
    line.show(progress)
    stdout.write("Continue? ")
    line.show("later")
    assert.deepStrictEqual(screen(), ["Continue?"])
    stdout.write("")
    assert.deepStrictEqual(screen(), ["Continue?"])
    stdout.write("yes\n")
    assert.deepStrictEqual(screen(), ["Continue? yes", "later"])
    stdout.write("")
    line.show("again")
    assert.deepStrictEqual(screen(), ["Continue? yes", "again"])
    stdout.write("No end")
    line.close("done")
    assert.deepStrictEqual(screen(), ["Continue? yes", "No end", "done", ""])
  })

  it("is gone after its end, and leaves the streams as they were", () => {
    const { output, screen } = makeTerminal(columns)
    const stdout = beside(output)
    const before = stdout.write
    const line = makeTerminalLine(output, [stdout])
    assert.notStrictEqual(stdout.write, before)
    line.show(progress)
    line.close("done")
    assert.strictEqual(stdout.write, before)
    stdout.write("after\n")
    assert.deepStrictEqual(screen(), ["done", "after", ""])
  })

  it("ends without harm while another one is open", () => {
    const { output, screen } = makeTerminal(columns)
    const stdout = beside(output)
    const first = makeTerminalLine(output, [stdout])
    const second = makeTerminalLine(output, [stdout])
    first.show("first")
    first.close("first")
    second.show("second")
    stdout.write("a\n")
    second.close("second")
    stdout.write("b\n")
    assert.deepStrictEqual(screen(), ["first", "a", "second", "b", ""])
  })
})

describe("the streams beside an output", () => {
  it("are none for an output of the program's own", () => {
    assert.deepStrictEqual(printersBeside({ write: () => true, isTTY: true }), [])
  })

  it("are those of the process that are terminals", () => {
    const terminals = [process.stdout, process.stderr].filter(({ isTTY }) => isTTY)
    assert.deepStrictEqual(printersBeside(process.stderr), terminals)
  })
})
