import { Fs } from "../node.ts"
import { isOutOfFiles } from "./errors.ts"
import { isMissing } from "./files.ts"

/** Forces a file to the disk. Rejects with the fault of the file system. */
export const forceDescriptor = (descriptor: number): Promise<void> =>
  new Promise((resolve, reject) =>
    Fs.fsync(descriptor, (fault) => fault === null || isUnsupported(fault) ? resolve() : reject(fault))
  )

/** Forces the file or folder at a path to the disk, if there is one. */
export const forcePath = async (path: string): Promise<void> => {
  const descriptor = await openIfPresent(path)
  if (descriptor === undefined) return
  try {
    await forceDescriptor(descriptor)
  } finally {
    Fs.closeSync(descriptor)
  }
}

const openIfPresent = async (path: string): Promise<number | undefined> => {
  for (let wait = 1;; wait *= 2) {
    try {
      return await new Promise<number>((resolve, reject) =>
        Fs.open(path, "r", (fault, opened) => fault === null ? resolve(opened) : reject(fault))
      )
    } catch (cause) {
      if (isMissing(cause) || (cause as NodeJS.ErrnoException).code === "EACCES") return undefined
      if (!isOutOfFiles(cause) || wait > longestWait) throw cause
      await sleep(wait)
    }
  }
}

/** Waits some milliseconds of real time, also in a program with another clock: the file system has no other. */
// @effect-diagnostics-next-line globalTimers:off
export const sleep = (wait: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, wait))

/** The last wait for a descriptor, in milliseconds: all together take a second. */
export const longestWait = 512

// Some file systems have no forced writes of folders.
const isUnsupported = ({ code = "" }: NodeJS.ErrnoException): boolean =>
  code === "EINVAL" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS"
