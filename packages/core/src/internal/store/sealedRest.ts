import * as Predicate from "effect/Predicate"
import type { Metadata } from "../../Sample.ts"
import { crc32 } from "../node.ts"

/** Stored metadata: `rest` has a checksum beside it. */
interface Sealed extends Metadata {
  readonly restCrc32?: unknown
}

/** Adds a checksum of `rest`, for a store to write. */
export const sealRest = <A extends Pick<Metadata, "rest">>(metadata: A): A & Sealed =>
  metadata.rest === undefined ? metadata : { ...metadata, restCrc32: checksum(metadata.rest) }

/** Removes the checksum, `undefined` if `rest` is not what it was. */
export const unsealRest = ({ restCrc32, ...metadata }: Sealed): Metadata | undefined => {
  const { rest } = metadata
  if (rest === undefined) return restCrc32 === undefined ? metadata : undefined
  if (!Predicate.isObject(rest)) return undefined
  return restCrc32 === undefined || restCrc32 === checksum(rest) ? metadata : undefined
}

const checksum = (rest: unknown): number => crc32(JSON.stringify(rest))
