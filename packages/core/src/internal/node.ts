import type * as NodeBuffer from "node:buffer"
import type * as NodeCrypto from "node:crypto"
import type * as NodeFs from "node:fs"
import type * as NodeOs from "node:os"
import type * as NodePath from "node:path"
import type * as NodeZlib from "node:zlib"

// An import of `node:fs` would keep browsers from loading a program that samples in memory: there, these are undefined.
const builtin = (name: string): unknown => globalThis.process?.getBuiltinModule?.(name)

export const Crypto = builtin("node:crypto") as typeof NodeCrypto | undefined
export const Fs = builtin("node:fs") as typeof NodeFs
export const Os = builtin("node:os") as typeof NodeOs
export const Path = builtin("node:path") as typeof NodePath
export const { crc32 } = (builtin("node:zlib") ?? {}) as typeof NodeZlib
export const { isUtf8 } = (builtin("node:buffer") ?? {}) as typeof NodeBuffer
