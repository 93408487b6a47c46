import { InvalidInput } from "@llm-cache/core/InvalidInput"
import { SampleConflict } from "@llm-cache/core/SampleError"
import * as Data from "effect/Data"
import { ImportError } from "./import/item.ts"

/** The arguments do not fit together: exit code 2. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

/** A cache cannot be opened: exit code 3. */
export class CacheError extends Data.TaggedError("CacheError")<{ readonly message: string }> {}

/** Two caches have different samples at a position, and the command does not say which to keep: exit code 1. */
export class ConflictError extends Data.TaggedError("ConflictError")<{ readonly message: string }> {}

/** The reader of stdout went away, as `head` does. */
export class OutputClosed extends Data.TaggedError("OutputClosed")<{}> {}

export const isSilent = (error: unknown): error is OutputClosed => error instanceof OutputClosed

/** The exit code of a failure: 1 if samples or files are at fault, 2 for arguments, and 3 if a cache cannot be used. */
export const errorCode = (error: unknown): 1 | 2 | 3 =>
  error instanceof ConflictError || error instanceof SampleConflict || error instanceof ImportError
    ? 1
    : error instanceof UsageError || error instanceof InvalidInput
    ? 2
    : 3
