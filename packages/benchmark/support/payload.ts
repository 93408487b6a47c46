/**
 * What all cases work on: prompts of 1 KB, samples of 2 KB (in some rows of 10 KB), ASCII, each of another prompt another one.
 */
import * as Crypto from "node:crypto"

/** In characters, which here are bytes. */
export const promptLength = 1024
export const sampleLength = 2048
export const longSampleLength = 10_240

const words = "It is to be said of every prompt that it asks and of every sample that it answers; neither knows which. "

// Out of bytes, so that the text is one piece of memory, as one is that was read or received.
const textOf = (start: string, length: number): string =>
  Buffer.from(start + words.repeat(Math.ceil(length / words.length))).toString("latin1", 0, length)

export const promptOf = (i: number): string => textOf(`${i}. Tell of number ${i}: `, promptLength)

export const sampleOf = (i: number, length: number = sampleLength): string => textOf(`${i} is this: `, length)

export const promptsOf = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => promptOf(i))

/** What a naive cache is keyed by. */
export const sha256 = (prompt: string): string => Crypto.hash("sha256", prompt, "hex")
