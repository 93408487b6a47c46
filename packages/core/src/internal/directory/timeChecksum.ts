import { crc32, Fs } from "../node.ts"

// A checksum of a sample's text and path, in the microseconds of its file's modification time: a hit reads no second
// file. Without it `sampleOne` costs 1.8 times as much (benchmark row `directory-prompts`).

/** Puts the checksum into the time of a file that was modified just now, if its file system can. */
export const writeTimeChecksum = (descriptor: number, modified: number, path: string, content: number): void => {
  try {
    // A quarter of a microsecond more, so that neither rounding nor a file system that truncates makes it one less.
    const time = Math.floor(modified / 1000) + (checksumOf(path, content) + 0.25) / 1e6
    Fs.futimesSync(descriptor, time, time)
  } catch {
    // A file without a checksum is checked by the metadata log.
  }
}

/** Whether the time of a file fits its path, below the root, and the CRC-32 of its content. */
export const fitsTimeChecksum = (modified: number, path: string, content: number): boolean =>
  Math.round((modified % 1000) * 1000) === checksumOf(path, content)

// From 1 to 999,999: a file system without microseconds gives 0.
const checksumOf = (path: string, content: number): number => crc32(path, content) % 999_999 + 1
