/**
 * The texts of all cases: prompts of 1 KB and samples of 2 KB (in some rows 10 KB), ASCII, all different.
 */
import * as Crypto from "node:crypto"

/** In characters, which here are bytes. */
export const promptLength = 1024
export const sampleLength = 2048
export const longSampleLength = 10_240

const words = "It is to be said of every prompt that it asks and of every sample that it answers; neither knows which. "

// From bytes, so that the text is one piece of memory, like a text from a file or a socket.
const textOf = (start: string, length: number): string =>
  Buffer.from(start + words.repeat(Math.ceil(length / words.length))).toString("latin1", 0, length)

export const promptOf = (i: number): string => textOf(`${i}. Tell of number ${i}: `, promptLength)

export const sampleOf = (i: number, length: number = sampleLength): string => textOf(`${i} is this: `, length)

export const promptsOf = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => promptOf(i))

/** The key of a naive cache. */
export const sha256 = (prompt: string): string => Crypto.hash("sha256", prompt, "hex")
