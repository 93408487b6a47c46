import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Key } from "../../Key.ts"
import type { Drawn } from "../../Sample.ts"
import type { Store } from "../../SampleStore.ts"
import { isFault } from "../directory/errors.ts"
import type { Cache } from "../model/cache.ts"
import { Fs, Os } from "../node.ts"
import { findRescued, type Found, removeRescued, type RescueFolders, writeRescued } from "./rescueFiles.ts"
import type { Pending, Rescued } from "./rescueLines.ts"

interface Options {
  readonly cache: Pick<Cache, "adopt" | "pending" | "storePending">
  readonly store: Pick<Store, "id" | "isSecret">
  readonly folders: RescueFolders
}

type Readable = Found & { readonly content: Rescued }

/**
 * Stores the samples that the store failed to take in earlier runs. Returns their rescue files if it fails again. If the
 * cache must not store them, for the reason `refusal`, it only logs where they are.
 */
export const adoptRescued = Effect.fnUntraced(function*(
  { cache, folders, store: { id: store } }: Options,
  refusal: string | undefined
): Effect.fn.Return<ReadonlyArray<Readable>> {
  const faults: Array<string> = []
  const found = findRescued(
    store,
    folders,
    (folder, cause) => faults.push(`The folder of rescue files ${folder} cannot be read: ${String(cause)}`)
  )
  const readable = found.filter((file): file is Readable => typeof file.content === "object")
  faults.push(...found.flatMap(({ content }) => typeof content === "string" ? [content] : []))
  for (const fault of faults) yield* Effect.logWarning(fault)
  for (const { content: { damage }, file } of readable) {
    if (damage.length > 0) yield* Effect.logWarning(`${file}: ${damage.join(", ")}. The other samples can be read`)
  }
  const pending = readable.flatMap(({ content }) => content.pending)
  const count = countOf(pending)
  if (readable.length === 0) return []
  const files = readable.map(({ file }) => file).join(", ")
  if (refusal !== undefined) {
    yield* Effect.logWarning(`${count} samples that were requested for ${store} are in ${files} alone: ${refusal}`)
    return []
  }
  cache.adopt(pending)
  const exit = yield* Effect.exit(cache.storePending)
  if (Exit.isSuccess(exit)) {
    for (const file of readable) removeRescued(file)
    yield* Effect.logInfo(`Stored ${count} samples of an earlier run in ${store}, from ${files}`)
    return []
  }
  yield* Effect.logWarning(
    `${store} still does not take ${countOf(cache.pending())} samples of ${files}. They are stored before another ` +
      "sample of their prompts is requested. To go on without them, move the file away",
    exit.cause
  )
  return readable
})

/** Stores the samples that the store failed to take, or writes them to a rescue file. */
export const rescuePending = Effect.fnUntraced(function*(
  { cache, folders, store: { id: store, isSecret } }: Options,
  adopted: ReadonlyArray<Readable>,
  reserve: Reserve
): Effect.fn.Return<void> {
  const exit = yield* Effect.exit(cache.storePending)
  const pending = cache.pending()
  const cause = Exit.isFailure(exit) ? [exit.cause] : []
  reserve.release()
  if (pending.length === 0) {
    for (const file of adopted) removeRescued(file)
    return
  }
  const open = isSecret === undefined ? pending : withoutSecrets(pending, isSecret)
  const withheld = countOf(pending) - countOf(open)
  if (withheld > 0) {
    yield* Effect.logError(
      `${withheld} requested samples could not be stored in ${store}, and are lost: they have secrets, which no rescue ` +
        "file may have",
      ...cause
    )
  }
  const count = countOf(open)
  try {
    const file = count === 0 ? undefined : writeRescued(store, open, folders)
    for (const old of adopted) removeRescued(old)
    if (file === undefined) return
    yield* Effect.logError(
      `${count} requested samples could not be stored in ${store}. They are in the rescue file ${file}: the next ` +
        `Persistent over this store stores them, or merge RescueFile.open(${JSON.stringify(file)}) into a store`,
      ...cause
    )
  } catch (fault) {
    // The count is told whatever went wrong.
    const saved = new Set(adopted.flatMap(({ content }) => idsOf(content.pending)))
    const lost = idsOf(open).filter((id) => !saved.has(id)).length
    yield* Effect.logError(
      `${count} requested samples could not be stored in ${store}, and ${lost} of them are lost: a rescue file could ` +
        `not be written either (${folders.paths.join(", ") || "no folder"}): ${String(fault)}`,
      ...cause
    )
  }
})

/** A file descriptor that is kept for the rescue file, because a process without descriptors can write no file. */
export class Reserve {
  #descriptor: number | undefined

  acquire(): void {
    if (this.#descriptor !== undefined || Fs === undefined) return
    try {
      this.#descriptor = Fs.openSync(Os.devNull, "r")
    } catch (cause) {
      // Others may have freed a descriptor until it is needed.
      if (!isFault(cause)) throw cause
    }
  }

  release(): void {
    if (this.#descriptor !== undefined) Fs.closeSync(this.#descriptor)
    this.#descriptor = undefined
  }
}

const withoutSecrets = (pending: ReadonlyArray<Pending>, isSecret: NonNullable<Store["isSecret"]>) => {
  const isOpen = (key: Key, drawn: Drawn): boolean => {
    try {
      return !isSecret(key, drawn)
    } catch {
      // The other samples must not be lost with it.
      return false
    }
  }
  return pending.map(({ entries, key }) => ({ key, entries: entries.filter(({ drawn }) => isOpen(key, drawn)) }))
}

const countOf = (pending: ReadonlyArray<Pending>): number =>
  pending.reduce((sum, { entries }) => sum + entries.length, 0)

const idsOf = (pending: ReadonlyArray<Pending>) => pending.flatMap(({ entries }) => entries.map(({ id }) => id))
