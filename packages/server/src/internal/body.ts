import type { Key } from "@llm-cache/core/Key"
import type { JsonObject } from "@llm-cache/core/Sample"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import * as Zlib from "node:zlib"
import type { Call } from "../Protocol.ts"
import { asObject, parseJson } from "./json.ts"

/** The longest body of a request, in bytes, packed or not. */
const longestBody = 32 * 1024 * 1024

/** A body that cannot be read, and the status that says so. */
export class BadBody extends Data.TaggedError("BadBody")<{ readonly status: number; readonly description: string }> {
  override get message(): string {
    return this.description
  }
}

/** The JSON object in the body of a request. */
export const readBody = (request: Http.IncomingMessage): Effect.Effect<JsonObject, BadBody> =>
  Effect.suspend(() => {
    const ahead = readAhead.get(request)
    if (ahead?.body !== undefined) return Effect.succeed(ahead.body)
    const type = request.headers["content-type"] ?? ""
    // A web page of another origin can send other types without being asked for permission.
    if (!/^application\/(?:[\w.-]+\+)?json\b/i.test(type)) {
      return fail(415, "the body is no `application/json`: set the header `content-type`")
    }
    if (Number(request.headers["content-length"]) > longestBody) return tooLong
    const read = ahead === undefined ? readBytes(request) : Effect.succeed(ahead.bytes)
    return Effect.flatMap(Effect.flatMap(read, (bytes) => unpack(bytes, request)), (bytes) => {
      try {
        const body = asObject(parseJson(bytes.toString()))
        return body === undefined ? fail(400, "the body is no JSON object") : Effect.succeed(body)
      } catch {
        return fail(400, bytes.length === 0 ? "the body is empty: give a JSON object" : "the body is no JSON")
      }
    })
  })

interface ReadAhead {
  readonly bytes: Buffer
  /** The JSON object in them, if `readBody` would return it. */
  readonly body: JsonObject | undefined
  /** The request for samples in the object, with its key. */
  readonly keyed: KeyedCall | undefined
}

/** A request for samples of one key. */
export interface KeyedCall {
  readonly call: Call
  readonly key: Key
}

/** Requests whose bodies were read before `readBody`. */
const readAhead = new WeakMap<Http.IncomingMessage, ReadAhead>()

/** Keeps what was read of a request already, for `readBody` and `keyedCallOf`. */
export const keepBody = (request: Http.IncomingMessage, ahead: ReadAhead): void => {
  readAhead.set(request, ahead)
}

export const keyedCallOf = (request: Http.IncomingMessage): KeyedCall | undefined => readAhead.get(request)?.keyed

const fail = (status: number, description: string) => Effect.fail(new BadBody({ status, description }))

const tooLong = fail(413, `the body is longer than ${longestBody / 1024 / 1024} MiB: shorten the request`)

const readBytes = (request: Http.IncomingMessage): Effect.Effect<Buffer, BadBody> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let length = 0
    const onData = (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length <= longestBody) return
      stop()
      resume(tooLong)
    }
    const onEnd = () => {
      stop()
      resume(Effect.succeed(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    }
    const onClose = () => {
      stop()
      resume(fail(400, "the body broke off"))
    }
    const stop = () => {
      request.off("data", onData).off("end", onEnd).off("close", onClose)
      request.pause()
    }
    request.on("data", onData).on("end", onEnd).on("close", onClose)
    return Effect.sync(stop)
  })

type Unpack = (bytes: Buffer, options: Zlib.ZlibOptions, done: (error: Error | null, result: Buffer) => void) => void

const unpackers: { readonly [encoding: string]: Unpack } = {
  br: Zlib.brotliDecompress,
  deflate: Zlib.inflate,
  gzip: Zlib.gunzip,
  "x-gzip": Zlib.gunzip,
  zstd: Zlib.zstdDecompress as Unpack
}

const unpack = (bytes: Buffer, { headers }: Http.IncomingMessage): Effect.Effect<Buffer, BadBody> => {
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity"
  if (encoding === "identity") return Effect.succeed(bytes)
  const unpacker = Object.hasOwn(unpackers, encoding) ? unpackers[encoding] : undefined
  if (unpacker === undefined) {
    return fail(415, `the body has the encoding ${encoding}: send it as gzip, deflate, br, zstd, or as it is`)
  }
  return Effect.callback((resume) =>
    unpacker(bytes, { maxOutputLength: longestBody }, (error, result) =>
      resume(
        error === null
          ? Effect.succeed(result)
          : "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
          ? tooLong
          : fail(400, `the body is no ${encoding}`)
      ))
  )
}
