import * as Effect from "effect/Effect"
import * as Zip from "effect/encoding/Zip"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import { type Damaged, damaged, ImportError } from "./item.ts"

/** A line of a file, without its end. */
export interface TextLine {
  readonly kind: "line"
  /** Such as `line 12`. */
  readonly where: string
  readonly text: string
}

/** A file inside an archive. */
export interface ArchivedFile {
  readonly name: string
  readonly text: () => string
}

/** The most bytes of a line, of a file that is read whole, and of a file in an archive. */
const most = 2 ** 28

export const cannotRead = (file: string) => (cause: unknown): ImportError =>
  new ImportError({ file, description: cause instanceof Error ? cause.message : String(cause) })

/** The bytes of a file, some at a time. */
const bytesOf = (file: string): Stream.Stream<Uint8Array, ImportError> =>
  Stream.suspend(() => Stream.fromAsyncIterable(Fs.createReadStream(file), cannotRead(file)))

/** The first bytes of a file. */
export const firstBytes = (file: string, count: number): Effect.Effect<Buffer, ImportError> =>
  Effect.try({
    try: () => {
      const descriptor = Fs.openSync(file, "r")
      try {
        const buffer = Buffer.alloc(count)
        return buffer.subarray(0, Fs.readSync(descriptor, buffer, 0, count, 0))
      } finally {
        Fs.closeSync(descriptor)
      }
    },
    catch: cannotRead(file)
  })

/** The text of a file that is read whole. */
export const wholeText = (file: string): Effect.Effect<string, ImportError> =>
  Effect.suspend(() => {
    const tooLarge = new ImportError({ file, description: `it is larger than ${most / 2 ** 20} MiB: split it` })
    return Effect.try({
      try: () => {
        if (Fs.statSync(file).size > most) throw tooLarge
        return decode(Fs.readFileSync(file))
      },
      catch: (cause) =>
        cause === tooLarge
          ? tooLarge
          : new ImportError({
            file,
            description: cause instanceof TypeError ? notUtf8 : (cause as Error).message
          })
    })
  })

/** The lines of a file that are not empty. */
export const linesOf = (file: string, longest = most): Stream.Stream<TextLine | Damaged, ImportError> =>
  Stream.suspend(() => {
    let pending: Array<Uint8Array> = []
    let length = 0
    let number = 0
    const end = (): ReadonlyArray<TextLine | Damaged> => {
      const where = `line ${++number}`
      const isTooLong = length > longest
      const bytes = Buffer.concat(pending)
      pending = []
      length = 0
      if (isTooLong) return [damaged(where, `it is longer than ${longest} bytes`)]
      try {
        const text = decode(bytes)
        return text.trim() === "" ? [] : [{ kind: "line", where, text }]
      } catch {
        return [damaged(where, notUtf8)]
      }
    }
    const push = (bytes: Uint8Array) => {
      length += bytes.length
      if (length > longest) pending = []
      else pending.push(bytes)
    }
    const split = (bytes: Uint8Array): ReadonlyArray<TextLine | Damaged> => {
      const found: Array<TextLine | Damaged> = []
      let from = 0
      for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, from)) {
        push(bytes.subarray(from, at))
        found.push(...end())
        from = at + 1
      }
      push(bytes.subarray(from))
      return found
    }
    const lines = Stream.flatMap(bytesOf(file), (bytes) => Stream.fromIterable(split(bytes)))
    return Stream.concat(lines, Stream.suspend(() => Stream.fromIterable(length === 0 ? [] : end())))
  })

const newline = 10

const notUtf8 = "it is not text in UTF-8"

const decoder = new TextDecoder("utf-8", { fatal: true })

const decode = (bytes: Uint8Array): string => decoder.decode(bytes)

/** The files of a zip archive, one after the other, up to some unpacked bytes. Names are data: nothing is written there. */
export const filesOfZip = (file: string, mostUnpacked = 2 ** 34): Stream.Stream<ArchivedFile, ImportError> =>
  Stream.suspend(() => {
    let unpacked = 0
    const tooLarge = (what: string) => new ImportError({ file, description: `${what} is too large when unpacked` })
    return bytesOf(file).pipe(
      Stream.pipeThroughChannel(Zip.decode<ImportError>()),
      Stream.mapEffect(Effect.fnUntraced(function*({ body, header }) {
        const chunks: Array<Uint8Array> = []
        let size = 0
        yield* Stream.runForEach(body, (bytes) => {
          size += bytes.length
          unpacked += bytes.length
          if (size > most) return Effect.fail(tooLarge(JSON.stringify(header.path)))
          if (unpacked > mostUnpacked) return Effect.fail(tooLarge("this archive"))
          chunks.push(bytes)
          return Effect.void
        })
        return { name: header.path, text: () => decode(Buffer.concat(chunks)) }
      })),
      Stream.mapError((error) =>
        error._tag === "ZipError" ? new ImportError({ file, description: adviceFor(error) }) : error
      )
    )
  })

const adviceFor = ({ kind, message }: Zip.ZipError): string =>
  kind === "Unsupported"
    ? `${message}. Unpack the archive, and pack it again without encryption and with the usual compression (deflate)`
    : `this archive is damaged: ${message}`
