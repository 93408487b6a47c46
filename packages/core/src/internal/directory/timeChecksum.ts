import * as Fs from "node:fs"
import { crc32 } from "node:zlib"

// The microseconds of the time at which a file was modified are a checksum of its content and its place. Who reads the
// file has them without reading another one. Where they do not fit (the file was edited, or copied without its times)
// the journal says what is the matter.

/** The seal of a file at a place, from 1 to 999,999. */
export const sealOf = (place: string, content: number): number => crc32(place, content) % 999_999 + 1

/** Seals a file that was modified just now, where its file system can. */
export const seal = (descriptor: number, modified: number, microseconds: number): void => {
  try {
    // A quarter more, so that neither floating point nor a file system that cuts it off makes it one less.
    const time = Math.floor(modified / 1000) + (microseconds + 0.25) / 1e6
    Fs.futimesSync(descriptor, time, time)
  } catch {
    // It is read as one that is not sealed.
  }
}

/** The seal of a file by the time at which it was modified, in milliseconds. */
export const sealIn = (modified: number): number => Math.round((modified % 1000) * 1000)
