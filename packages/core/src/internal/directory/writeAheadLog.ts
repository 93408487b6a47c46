import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Entry } from "../../Sample.ts"
import { ifPresent, isMissing, list, writeNew } from "./files.ts"
import { hasEnded, type LogOwner, nameOfFile, newLogOwner, ownerOfFile } from "./logOwner.ts"
import { writeAheadFolder } from "./samplePath.ts"

/** After this time, in milliseconds, a request is also taken over from a process that may still run. */
const patience = 60_000

/** File systems tell times this exactly, in milliseconds, or better: a younger folder may change at the same time. */
const timeResolution = 1000

/** The samples of a request, and their folder below the root. */
export interface LoggedRequest {
  readonly folder: string
  readonly entries: ReadonlyArray<Entry & { readonly id: string }>
  readonly ifTaken: "append" | "drop"
}

/** Writes the samples of a request for as long as it is ours, and throws if it cannot. */
type WriteAll = (
  request: LoggedRequest,
  isTakenOver: boolean,
  isOurs: () => boolean
) => ReadonlyArray<number | undefined>

/**
 * The write-ahead log of requests of several samples: one file each, written before the first sample gets its own file
 * and removed behind the last. The next process that writes to the root finishes the requests of a killed one.
 */
export class WriteAheadLog {
  readonly #folder: string
  readonly #writeAll: WriteAll
  #self: LogOwner | undefined
  #filesNamed = 0
  /** The folder's modification time when it had no file left to look at again. */
  #finishedAt: number | undefined

  constructor(root: string, writeAll: WriteAll) {
    this.#folder = Path.join(root, writeAheadFolder)
    this.#writeAll = writeAll
  }

  /** Writes the samples of a request. As soon as the log has them they are safe: a sample not written now is later. */
  write(request: LoggedRequest): ReadonlyArray<number | undefined> {
    const name = this.#nextName()
    this.#create(name, JSON.stringify(request))
    try {
      const positions = this.#writeAll(request, false, () => this.#has(name))
      this.#remove(name)
      return positions
    } catch {
      // `recover` meets the same fault and throws it, or finishes the request.
      return request.entries.map(() => undefined)
    }
  }

  /** Finishes the requests of this log and of ended processes. Throws if it cannot for a request in `folder`. */
  recover(now: number, folder: string): void {
    const changed = Fs.statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs
    if (changed === undefined || changed === this.#finishedAt) return
    let isAnyLeft = false
    let failure: { readonly cause: unknown } | undefined
    for (const name of list(this.#folder)) {
      const owner = ownerOfFile(name)
      if (owner === undefined) continue
      const taken = this.#isLeft(name, owner, now) ? this.#takeOver(name, now) : undefined
      if (taken === undefined) {
        isAnyLeft = true
        continue
      }
      try {
        this.#writeAll(taken.request, true, () => this.#has(taken.name))
        this.#remove(taken.name)
      } catch (cause) {
        isAnyLeft = true
        if (taken.request.folder === folder) failure = { cause }
      }
    }
    this.#finishedAt = isAnyLeft || now - changed < timeResolution ? undefined : changed
    if (failure !== undefined) throw failure.cause
  }

  #create(name: string, content: string): void {
    const file = Path.join(this.#folder, name)
    try {
      writeNew(file, content)
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      Fs.mkdirSync(this.#folder, { recursive: true })
      writeNew(file, content)
    }
  }

  #takeOver(name: string, now: number): { readonly name: string; readonly request: LoggedRequest } | undefined {
    const mine = this.#nextName()
    const file = Path.join(this.#folder, mine)
    const content = ifPresent(() => {
      // One of several processes succeeds, and gets the full time from now.
      Fs.utimesSync(Path.join(this.#folder, name), now / 1000, now / 1000)
      Fs.renameSync(Path.join(this.#folder, name), file)
      return Fs.readFileSync(file, "utf8")
    })
    if (content === undefined) return undefined
    const request = decode(content)
    if (request !== undefined) return { name: mine, request }
    // Kept for a person to look at.
    ifPresent(() => Fs.renameSync(file, `${file}.damaged`))
    return undefined
  }

  #isLeft(name: string, owner: LogOwner, now: number): boolean {
    const self = this.#owner()
    if (owner.log === self.log || hasEnded(owner, self)) return true
    const stats = Fs.statSync(Path.join(this.#folder, name), { throwIfNoEntry: false })
    return stats !== undefined && now - stats.mtimeMs > patience
  }

  #has(name: string): boolean {
    return Fs.existsSync(Path.join(this.#folder, name))
  }

  #remove(name: string): void {
    ifPresent(() => Fs.unlinkSync(Path.join(this.#folder, name)))
  }

  #owner(): LogOwner {
    return this.#self ??= newLogOwner()
  }

  #nextName(): string {
    return nameOfFile(this.#owner(), this.#filesNamed++)
  }
}

// A cache may come from someone else: no path in it leads out of the root.
const decode = (content: string): LoggedRequest | undefined => {
  try {
    // Logs of earlier versions name the request, and leave out the ids of its samples.
    const { entries, folder, id, ifTaken } = JSON.parse(content) as Omit<LoggedRequest, "entries"> & {
      readonly id?: string
      readonly entries: ReadonlyArray<Entry>
    }
    const isSound = (ifTaken === "append" || ifTaken === "drop") &&
      folder.split(/[\\/]/).every((segment) => segment !== "" && segment !== "." && segment !== "..") &&
      entries.every((entry) => isSoundEntry(entry) && (entry.id !== undefined || typeof id === "string"))
    return isSound
      ? { folder, ifTaken, entries: entries.map((entry, i) => ({ ...entry, id: entry.id ?? `${id} ${i}` })) }
      : undefined
  } catch {
    return undefined
  }
}

const isSoundEntry = ({ drawn: { metadata, origins, text }, position }: Entry): boolean =>
  Number.isSafeInteger(position) && position >= 0 && typeof text === "string" &&
  typeof metadata === "object" && origins.every(Number.isSafeInteger)
