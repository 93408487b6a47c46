import { Fs, Path } from "../node.ts"
import { ifPresent, list, makeFolder } from "./files.ts"
import { forcePath } from "./force.ts"
import type { KeyFolders } from "./keyFolders.ts"
import { LogFile } from "./logFile.ts"
import {
  bootLine,
  decode,
  type LogContent,
  type LoggedRequest,
  removedLine,
  requestLine,
  storedLine
} from "./loggedRequest.ts"
import { bootOfSystem, hasEnded, type LogOwner, nameOfFile, newLogOwner, ownerOfFile } from "./logOwner.ts"
import { logPath } from "./metadataLog.ts"
import { forkFile, identityFile, promptFile, samplePath, writeAheadFolder } from "./samplePath.ts"
import type { SampleWriter } from "./sampleWriter.ts"

/** After this time, in milliseconds, a request is also taken over from a process that may still run. */
const patience = 60_000

/** File systems tell times this exactly, in milliseconds, or better: a younger folder may change at the same time. */
const timeResolution = 1000

/** A file is retired when no request came for this time, in milliseconds, or when it has this many bytes. */
const idle = 50
const longestFile = 4 * 1024 * 1024

/** How many files are forced to the disk at once when a file of the log is retired. */
const forcedAtOnce = 2

/** A sample in its folder below the root. */
type Place = readonly [folder: string, position: number]

/** The result of a write: `forced` settles when it is on the disk, and is absent if it is not forced. */
export interface Written {
  readonly positions: ReadonlyArray<number | undefined>
  readonly forced: Promise<void> | undefined
}

/**
 * The write-ahead log: a file has the samples of requests until their own files are safe. The next process that writes to
 * the root finishes the requests of a killed one.
 *
 * If it forces its writes, a request costs one forced write, that of the log, which concurrent requests share. The files
 * of the samples are forced in the background. The file of the log is removed last, because file systems reorder writes
 * that are not forced (Pillai et al., OSDI 2014).
 */
export class WriteAheadLog {
  readonly #root: string
  readonly #folder: string
  readonly #writer: SampleWriter
  readonly #folders: KeyFolders
  readonly #forces: boolean
  #self: LogOwner | undefined
  #filesNamed = 0
  #requests = 0
  #current: LogFile | undefined
  /** The samples in the current file. */
  #places: Array<Place> = []
  /** The names of the files that this log has in use. */
  readonly #live = new Set<string>()
  /** Folders, below the root, with samples during their forced write. */
  readonly #unforced = new Map<string, Promise<void>>()
  /** Samples after a failed forced write, by folder. */
  readonly #failed = new Map<string, ReadonlyArray<Place>>()
  #timer: NodeJS.Timeout | undefined
  /** The folder's modification time when it had no file left to look at again. */
  #finishedAt: number | undefined

  constructor(root: string, writer: SampleWriter, folders: KeyFolders, forces: boolean) {
    this.#root = root
    this.#folder = Path.join(root, writeAheadFolder)
    this.#writer = writer
    this.#folders = folders
    this.#forces = forces
  }

  /** Writes the samples of a request. As soon as the log has them they are safe: a sample not written now is later. */
  write(request: LoggedRequest): Written {
    const file = this.#current ??= this.#create()
    const number = this.#requests++
    let positions: ReadonlyArray<number | undefined>
    try {
      file.append(requestLine(number, request))
    } catch (cause) {
      this.#abandon(file)
      throw cause
    }
    try {
      positions = this.#writer.writeAll(request, false, () => Fs.existsSync(file.path))
    } catch {
      // `recover` meets the same fault and throws it, or finishes the request.
      const forced = this.#forces ? file.force() : undefined
      this.#abandon(file)
      return { positions: request.entries.map(() => undefined), forced }
    }
    if (!this.#forces) {
      this.#current = undefined
      this.#remove(Path.basename(file.path))
      void file.close()
      return { positions, forced: undefined }
    }
    try {
      file.append(storedLine(number, positions))
    } catch (cause) {
      this.#abandon(file)
      throw cause
    }
    const places = positions.flatMap((position): ReadonlyArray<Place> =>
      position === undefined ? [] : [[request.folder, position]]
    )
    this.#places.push(...places)
    return { positions, forced: this.#force(file, request.folder, places) }
  }

  /** Whether all samples in a folder are forced, and may be handed out. */
  isForced(folder: string): boolean {
    if (this.#unforced.size === 0 && this.#failed.size === 0) return true
    const relative = Path.relative(this.#root, folder)
    return !this.#unforced.has(relative) && !this.#failed.has(relative)
  }

  /** Settles when all samples in a folder are forced. After a failed write it forces their own files. */
  async forceFolder(folder: string): Promise<void> {
    const relative = Path.relative(this.#root, folder)
    await this.#unforced.get(relative)?.catch(() => undefined)
    const places = this.#failed.get(relative)
    if (places === undefined) return
    await this.#forceSamples(places)
    if (this.#failed.get(relative) === places) this.#failed.delete(relative)
  }

  /** Notes that samples were removed: they must not come back after a power failure. */
  noteRemoved(folder: string, positions: ReadonlyArray<number>): void {
    this.#current?.append(removedLine(folder, positions))
  }

  /** Finishes the requests of this log and of ended processes. Throws if it cannot for a request in `folder`. */
  recover(now: number, folder: string): void {
    const changed = Fs.statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs
    if (changed === undefined || changed === this.#finishedAt) return
    let isAnyLeft = false
    let failure: { readonly cause: unknown } | undefined
    for (const name of list(this.#folder)) {
      const owner = ownerOfFile(name)
      if (owner === undefined || this.#live.has(name)) continue
      const taken = this.#isLeft(name, owner, now) ? this.#takeOver(name, now) : undefined
      if (taken === undefined) {
        isAnyLeft = true
        continue
      }
      const { content, name: mine } = taken
      try {
        this.#retire(mine, this.#finish(content, () => Fs.existsSync(Path.join(this.#folder, mine))))
      } catch (cause) {
        isAnyLeft = true
        const isIn = (request: { readonly folder: string }) => request.folder === folder
        if (content.unfinished.some(isIn) || content.stored.some(isIn)) failure = { cause }
      }
    }
    this.#finishedAt = isAnyLeft || now - changed < timeResolution ? undefined : changed
    if (failure !== undefined) throw failure.cause
  }

  /** Writes the samples that a file of the log has and the folders of their keys have not. */
  #finish({ boot, stored, unfinished }: LogContent, isOurs: () => boolean): ReadonlyArray<Place> {
    const places: Array<Place> = []
    const hasLostPower = boot === undefined || boot !== bootOfSystem()
    for (const { entry, folder, key, position } of stored) {
      places.push([folder, position])
      // A stored sample that is missing since the system started was deleted.
      if (!hasLostPower || !isOurs()) continue
      if (key !== undefined) this.#folders.create(key, Path.join(this.#root, folder))
      this.#writer.restore(folder, position, entry)
    }
    for (const request of unfinished) {
      for (const position of this.#writer.writeAll(request, true, isOurs)) {
        if (position !== undefined) places.push([request.folder, position])
      }
    }
    return places
  }

  #create(): LogFile {
    const name = this.#nextName()
    const path = Path.join(this.#folder, name)
    makeFolder(this.#folder)
    const file = new LogFile(path, bootLine(bootOfSystem()), [
      this.#folder,
      this.#root,
      Path.dirname(this.#root)
    ])
    this.#live.add(name)
    this.#places = []
    return file
  }

  /** Leaves a file to `recover`. */
  #abandon(file: LogFile): void {
    if (this.#current === file) this.#current = undefined
    this.#live.delete(Path.basename(file.path))
    this.#finishedAt = undefined
    void file.close()
  }

  #force(file: LogFile, folder: string, places: ReadonlyArray<Place>): Promise<void> {
    const end = (): boolean => this.#unforced.get(folder) === forced && this.#unforced.delete(folder)
    const forced = file.force().then(
      () => {
        end()
        return this.#retireSoon(file)
      },
      (cause) => {
        end()
        this.#failed.set(folder, [...this.#failed.get(folder) ?? [], ...places])
        if (this.#current === file) this.#abandon(file)
        throw cause
      }
    )
    this.#unforced.set(folder, forced)
    return forced
  }

  #retireSoon(file: LogFile): void {
    if (this.#current !== file) return
    clearTimeout(this.#timer)
    const retire = () => {
      // A request during its forced write comes back here.
      if (this.#current !== file || this.#unforced.size > 0) return
      const places = this.#places
      this.#current = undefined
      void file.close()
      this.#retire(Path.basename(file.path), places)
    }
    if (file.bytes > longestFile) retire()
    // Real time, also in a program with another clock: the file system has no other.
    // @effect-diagnostics-next-line globalTimers:off
    else this.#timer = setTimeout(retire, idle)
  }

  /** Removes a file of the log, after the files of its samples are forced if this log forces its writes. */
  #retire(name: string, places: ReadonlyArray<Place>): void {
    if (!this.#forces || places.length === 0) return this.#remove(name)
    this.#live.add(name)
    this.#forceSamples(places).then(
      () => this.#remove(name),
      () => {
        // The next `recover` tries again.
        this.#live.delete(name)
        this.#finishedAt = undefined
      }
    )
  }

  /** Forces files first, and then folders: a name in a folder never leads to a file without its content. */
  async #forceSamples(places: ReadonlyArray<Place>): Promise<void> {
    const files = new Set<string>()
    const folders = new Set<string>()
    for (const [folder, position] of places) {
      const absolute = Path.join(this.#root, folder)
      files.add(samplePath(absolute, position)).add(logPath(absolute, position))
      for (let above = absolute; above.startsWith(this.#root) && !folders.has(above); above = Path.dirname(above)) {
        folders.add(above)
        for (const name of [promptFile, identityFile, forkFile]) files.add(Path.join(above, name))
      }
    }
    await forceAll(files)
    await forceAll(folders)
  }

  #takeOver(name: string, now: number): { readonly name: string; readonly content: LogContent } | undefined {
    const mine = this.#nextName()
    const file = Path.join(this.#folder, mine)
    const text = ifPresent(() => {
      // One of several processes succeeds, and gets the full time from now.
      Fs.utimesSync(Path.join(this.#folder, name), now / 1000, now / 1000)
      Fs.renameSync(Path.join(this.#folder, name), file)
      return Fs.readFileSync(file, "utf8")
    })
    if (text === undefined) return undefined
    const content = decode(text)
    if (content !== undefined) return { name: mine, content }
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

  #remove(name: string): void {
    this.#live.delete(name)
    ifPresent(() => Fs.unlinkSync(Path.join(this.#folder, name)))
  }

  #owner(): LogOwner {
    return this.#self ??= newLogOwner()
  }

  #nextName(): string {
    return nameOfFile(this.#owner(), this.#filesNamed++)
  }
}

const forceAll = async (paths: ReadonlySet<string>): Promise<void> => {
  const left = paths.values()
  await Promise.all(Array.from({ length: forcedAtOnce }, async () => {
    for (const path of left) await forcePath(path)
  }))
}
