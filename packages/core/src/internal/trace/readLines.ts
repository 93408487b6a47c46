import { Fs } from "../node.ts"

/** How many bytes are read at a time. */
const chunk = 1024 * 1024

/** The whole lines of a file, some at a time. The last one has no end if its process was killed, and is left out. */
export function* readLines(path: string): Generator<ReadonlyArray<string>, void> {
  const descriptor = Fs.openSync(path, "r")
  try {
    const buffer = Buffer.allocUnsafe(chunk)
    let rest: Buffer = Buffer.alloc(0)
    for (;;) {
      const length = Fs.readSync(descriptor, buffer, 0, chunk, null)
      if (length === 0) return
      const read = Buffer.concat([rest, buffer.subarray(0, length)])
      const end = read.lastIndexOf(0x0a)
      rest = read.subarray(end + 1)
      if (end >= 0) yield read.toString("utf8", 0, end).split("\n")
    }
  } finally {
    Fs.closeSync(descriptor)
  }
}
