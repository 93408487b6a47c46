/**
 * A store of files that people can read, share and keep under version control.
 *
 * **Details**
 *
 * `<root>/<alias>_<temperature>/<sha256 of the prompt>/<position>.md`, each file the text of one sample, the layout of
 * the Python original. Beside the samples, `prompt.txt` is the prompt, and `0-255.jsonl` (`256-511.jsonl`, …) has a line
 * of metadata for each sample, its length and checksum among it. Other sampling parameters add a suffix to the first
 * folder, which `identity.json` in it explains. The samples of forks are in `forks/<name>` below the prompt's folder.
 * While a request of several samples is being stored, `.purchases` holds it.
 *
 * - A `~` at the start of `root` is the home folder. A missing root is created when the first sample is recorded, with
 *   access for its owner alone.
 * - A file without a line (of the original, or put there by hand) is taken as it is, if it is UTF-8. A file that
 *   differs from its line is a `StoreError` of kind `Damaged`, also one that the original has drawn again: delete its
 *   lines to take it as it is.
 * - The microseconds of a sample file's modification time are a second checksum, of its text and its place. It lets a
 *   sample be read without its line. If it does not match, as in a copy without times, the line is read.
 * - Delete a sample's file to have that position drawn again. Files of other names are skipped.
 * - Needs Linux or macOS, and a file system with hard links. Any number of processes on one machine can share a root.
 * - Samples outlive the process at once. They are not forced to the disk: a power failure may cost the last seconds.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeDirectory } from "./internal/directory/directoryStore.ts"
import type { StoreError } from "./SampleError.ts"
import { SampleStore, type Store } from "./SampleStore.ts"

/**
 * Opens a directory as a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (root: string) => Effect.Effect<Store, StoreError> = makeDirectory

/**
 * Provides a directory as the store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (root: string): Layer.Layer<SampleStore, StoreError> => Layer.effect(SampleStore, make(root))
