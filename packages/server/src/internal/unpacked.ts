import * as NodeStream from "@effect/platform-node/NodeStream"
import { UnusableResponse } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Transform } from "node:stream"
import * as Zlib from "node:zlib"

const unpackers: { readonly [encoding: string]: (start: Uint8Array) => Transform } = {
  br: () => Zlib.createBrotliDecompress(),
  deflate: (start) => isZlib(start) ? Zlib.createInflate() : Zlib.createInflateRaw(),
  gzip: () => Zlib.createGunzip(),
  "x-gzip": () => Zlib.createGunzip(),
  zstd: () => Zlib.createZstdDecompress()
}

/** The bytes of an answer. Upstreams are asked to pack none, and some do all the same. */
export const unpacked = (
  response: HttpClientResponse
): Stream.Stream<Uint8Array, HttpClientError | UnusableResponse> => {
  const encoding = response.headers["content-encoding"]?.trim().toLowerCase() ?? "identity"
  if (encoding === "identity" || encoding === "") return response.stream
  const unpacker = Object.hasOwn(unpackers, encoding) ? unpackers[encoding] : undefined
  if (unpacker === undefined) {
    return Stream.fail(
      new UnusableResponse({
        description: `the upstream packs its answer as ${encoding}, although it was asked not to`
      })
    )
  }
  return Stream.unwrap(Effect.map(Stream.peel(response.stream, Sink.head()), ([head, rest]) => {
    if (Option.isNone(head)) return Stream.empty
    const start = head.value
    const all = Stream.concat(Stream.succeed(start), rest)
    return isText(start) ? all : NodeStream.pipeThroughDuplex(all, {
      evaluate: () => unpacker(start),
      onError: () =>
        new UnusableResponse({ description: `the upstream's answer is no ${encoding}, as its header says` })
    })
  }))
}

/** HTTP clients such as `fetch` unpack an answer, and leave its header. */
const isText = (bytes: Uint8Array): boolean =>
  bytes.subarray(0, 8).every((byte) => (byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d))

// Servers send `deflate` with and without the header of zlib: https://www.rfc-editor.org/rfc/rfc1950
const isZlib = ([first = 0, second = 0]: Uint8Array): boolean =>
  (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
