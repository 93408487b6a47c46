import * as Effect from "effect/Effect"
import { isUtf8 } from "node:buffer"
import * as Zlib from "node:zlib"

/** Why packed bytes cannot be unpacked: there are more of them than allowed, or their end is missing. */
export type UnpackFailure = "TooLong" | "Cut"

/** Unpacks a body by its `Content-Encoding`. Some clients do so themselves and leave the header as it was. */
export const unpack = (
  bytes: Uint8Array,
  contentEncoding: string,
  longest: number
): Effect.Effect<Uint8Array, UnpackFailure> =>
  contentEncoding.split(",").reduceRight(
    (unpacked, coding) => Effect.flatMap(unpacked, (bytes) => unpackOnce(bytes, coding.trim().toLowerCase(), longest)),
    Effect.succeed(bytes) as Effect.Effect<Uint8Array, UnpackFailure>
  )

type Unpacker = (
  bytes: Uint8Array,
  options: { readonly maxOutputLength: number },
  callback: (error: NodeJS.ErrnoException | null, result: Buffer) => void
) => void

// https://www.iana.org/assignments/http-parameters/http-parameters.xhtml#content-coding
const unpackerOf = (coding: string, bytes: Uint8Array): Unpacker | undefined => {
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return startsWith(bytes, [0x1f, 0x8b]) ? Zlib.gunzip : undefined
    case "zstd":
      return startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd]) ? Zlib.zstdDecompress : undefined
    case "br":
      return Zlib.brotliDecompress
    case "deflate":
      return isZlib(bytes) ? Zlib.inflate : Zlib.inflateRaw
    default:
      return undefined
  }
}

const unpackOnce = (bytes: Uint8Array, coding: string, longest: number): Effect.Effect<Uint8Array, UnpackFailure> => {
  const unpacker = isText(bytes) ? undefined : unpackerOf(coding, bytes)
  if (unpacker === undefined) return Effect.succeed(bytes)
  return Effect.callback((resume) => {
    unpacker(bytes, { maxOutputLength: longest }, (error, result) =>
      resume(
        error === null
          ? Effect.succeed(result)
          : error.code === "ERR_BUFFER_TOO_LARGE"
          ? Effect.fail("TooLong")
          : error.code === "Z_BUF_ERROR"
          ? Effect.fail("Cut")
          : Effect.succeed(bytes)
      ))
  })
}

// JSON and web pages have no control characters, and packed bytes do, or are not UTF-8.
export const isText = (bytes: Uint8Array): boolean =>
  isUtf8(bytes) &&
  bytes.subarray(0, 1024).every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d)

const startsWith = (bytes: Uint8Array, magic: ReadonlyArray<number>): boolean =>
  magic.every((byte, i) => bytes[i] === byte)

// Servers send `deflate` with and without the header of zlib: https://www.rfc-editor.org/rfc/rfc1950
const isZlib = ([first = 0, second = 0]: Uint8Array): boolean =>
  (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
