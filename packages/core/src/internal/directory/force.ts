import * as Fs from "node:fs"
import { isMissing } from "./files.ts"

/** Forces a file to the disk. Rejects with the fault of the file system. */
export const forceDescriptor = (descriptor: number): Promise<void> =>
  new Promise((resolve, reject) =>
    Fs.fsync(descriptor, (fault) => fault === null || isUnsupported(fault) ? resolve() : reject(fault))
  )

/** Forces the file or folder at a path to the disk, if there is one. */
export const forcePath = async (path: string): Promise<void> => {
  const descriptor = await new Promise<number | undefined>((resolve, reject) =>
    Fs.open(
      path,
      "r",
      (fault, opened) =>
        fault === null
          ? resolve(opened)
          : isMissing(fault) || fault.code === "EACCES"
          ? resolve(undefined)
          : reject(fault)
    )
  )
  if (descriptor === undefined) return
  try {
    await forceDescriptor(descriptor)
  } finally {
    Fs.closeSync(descriptor)
  }
}

// Some file systems have no forced writes of folders.
const isUnsupported = ({ code = "" }: NodeJS.ErrnoException): boolean =>
  code === "EINVAL" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS"
