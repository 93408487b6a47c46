/**
 * A rescue file has the samples that a store failed to take until its program ended.
 *
 * **When to use**
 *
 * Nothing has to be done as a rule: the next `Persistent.layer` over the same store stores the samples and removes the
 * file. Open the file to look at it, or to bring its samples into another store with `Transfer.merge`.
 *
 * **Details**
 *
 * The message in the log at the end of the program names the file. It is a text: a line that describes it, and for each
 * sample a line of JSON with its key, position, text, metadata and origins. Only its owner can read it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { attempt, failure } from "./internal/directory/errors.ts"
import { KeyMap } from "./internal/model/keyMap.ts"
import { Fs, Path } from "./internal/node.ts"
import { readRescued } from "./internal/rescue/rescueFiles.ts"
import type { Key } from "./Key.ts"
import type { Drawn } from "./Sample.ts"
import type { StoreError } from "./SampleError.ts"
import * as SampleStore from "./SampleStore.ts"
import { type Fault, storeError } from "./StoreFault.ts"

/**
 * Opens a rescue file as a store that can only be read.
 *
 * **Details**
 *
 * Lines that were cut off or changed are failures among the keys: `Transfer.merge` with `damaged: "skip"` copies the
 * others and returns these failures. Fails with a `StoreError` if there is no such file, and if it is no rescue file.
 *
 * **Example** (Store the samples of a rescue file)
 *
 * ```ts
 * import { DirectoryStore, RescueFile, Transfer } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const from = yield* RescueFile.open("rescue-1f2e-….jsonl")
 *   const to = yield* DirectoryStore.make("~/.llm_cache")
 *   return yield* Transfer.merge(from, to, { ifDifferent: "append" })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = (file: string): Effect.Effect<SampleStore.Store, StoreError> =>
  Effect.suspend(() => {
    if (Fs === undefined) {
      const description = "a browser has no file system: open the file in a program of Node.js"
      return Effect.fail(storeError(`rescue file ${file}`, "open", { kind: "InvalidName", description }))
    }
    const path = Path.resolve(file)
    const name = `rescue file ${path}`
    const fail = (operation: StoreError["operation"], fault: Fault, key?: Key) =>
      Effect.fail(storeError(name, operation, fault, key))
    return Effect.flatMap(attempt(failure(name, "open"), () => readRescued(path)), (content) => {
      if (content === undefined) {
        return fail("open", {
          kind: "Unavailable",
          description: "there is no such file: its samples may be stored, as the next run over their store does it"
        })
      }
      if (typeof content === "string") return fail("open", { kind: "Damaged", description: content })

      const sequences = new KeyMap<Map<number, Drawn>>()
      const samplesOf = (key: Key) => sequences.get(key) ?? new Map<number, Drawn>()
      for (const { entries, key } of content.pending) {
        const samples = samplesOf(key)
        sequences.set(key, samples)
        for (const { drawn, position } of entries) {
          let at = position
          while (samples.has(at)) at++
          samples.set(at, drawn)
        }
      }
      const refuse = (operation: StoreError["operation"]) => (key: Key) =>
        fail(operation, { kind: "Unavailable", description: "a rescue file is only read: give another store" }, key)
      const damaged = content.damage.map((description) =>
        Result.fail(storeError(name, "keys", {
          kind: "Damaged",
          description: `${description}. Its samples are lost, unless there is a copy: the others can be read`
        }))
      )
      return Effect.succeed(SampleStore.make({
        id: name,
        describe: () => path,
        getMany: (key, from, count) =>
          Effect.sync(() => {
            const samples = samplesOf(key)
            const found: Array<Drawn> = []
            for (let at = from; found.length < count && samples.has(at); at++) found.push(samples.get(at)!)
            return found
          }),
        positions: (key) => Effect.sync(() => [...samplesOf(key).keys()].sort((a, b) => a - b)),
        prepare: refuse("prepare"),
        put: refuse("put"),
        remove: refuse("remove"),
        keys: ({ identity } = {}) =>
          Stream.fromIterable([
            ...content.pending
              .filter(({ key }) => identity === undefined || key.identity.id === identity.id)
              .map(({ entries, key }) => Result.succeed({ key, samples: entries.length })),
            ...damaged
          ])
      }))
    })
  })
