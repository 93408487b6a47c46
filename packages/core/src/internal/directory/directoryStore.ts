import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import type { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import type { StoreError } from "../../SampleError.ts"
import { type Implementation, type KeyFilter, make, type Store } from "../../SampleStore.ts"
import { advise, attempt, explain, type Fail, failure, isFault } from "./errors.ts"
import { identityFolder, keyFolder, positionOf } from "./fileNames.ts"
import { type Content, FileReader } from "./fileReader.ts"
import { ifPresent, list, readIfPresent, writeNew } from "./files.ts"
import { holderOf, listKeys } from "./listing.ts"
import { Journal } from "./metadataLog.ts"
import { seal, sealOf } from "./timeChecksum.ts"
import { type Purchase, PurchaseLog } from "./writeAheadLog.ts"

// The file system is used synchronously: a sample is a small file in the page cache, and reading it takes less time
// than going through the thread pool.

/** A directory as a store. Fails when the root is, or is below, something that is not a directory. */
export const makeDirectory = (root: string): Effect.Effect<Store, StoreError> =>
  Effect.suspend(() => {
    const store = `directory ${root}`
    const failed = failure(store, "open")
    if (root === "" || root.includes("\0")) {
      return failed({ kind: "InvalidName", description: "the directory's name is empty, or has a NUL character" })
    }
    const absolute = Path.resolve(root.replace(/^~(?=$|[/\\])/, () => Os.homedir()))
    return Effect.flatMap(
      attempt(failed, () => Fs.statSync(absolute, { throwIfNoEntry: false })),
      (stats) =>
        stats === undefined || stats.isDirectory()
          ? attempt(failed, () => make(new DirectoryStore(absolute)))
          : failed({
            kind: "Unavailable",
            description: "this is not a directory: give another one, or move the file away"
          })
    )
  })

class DirectoryStore implements Implementation {
  readonly id: string
  readonly #root: string
  readonly #name: string
  readonly #reader = new FileReader()
  readonly #journal = new Journal(this.#reader)
  readonly #log: PurchaseLog
  readonly #folders = new WeakMap<Identity, ReturnType<typeof identityFolder>>()

  constructor(root: string) {
    this.#root = root
    this.#name = `directory ${root}`
    this.id = `directory ${ifPresent(() => Fs.realpathSync(root)) ?? root}`
    this.#log = new PurchaseLog(root, this.#placeAll)
  }

  describe = (key: Key): string => {
    const [identity, prompt] = [identityFolder(key.identity), keyFolder(key)]
    return identity.ok && prompt.ok ? Path.join(this.#root, identity.path, prompt.path) : this.#name
  }

  peek = (key: Key, from: number, most: number): ReadonlyArray<Drawn> => {
    const samples: Array<Drawn> = []
    this.#journal.begin()
    try {
      const folder = this.#folder(key)
      while (folder.ok && samples.length < most) {
        const found = this.#read(folder.path, from + samples.length)
        if (typeof found !== "object") break
        samples.push(found)
      }
    } catch (cause) {
      if (!isFault(cause)) throw cause
    }
    return samples
  }

  getMany = (key: Key, from: number, count: number) =>
    this.#run("get", key, from, (folder, failed): Effect.Effect<ReadonlyArray<Drawn>, StoreError> => {
      const samples: Array<Drawn> = []
      while (samples.length < count) {
        const found = this.#readBehind(folder, from, samples.length)
        if (typeof found === "object") samples.push(found)
        else if (found === undefined || samples.length > 0) break
        else return failed({ kind: "Damaged", description: found })
      }
      return Effect.succeed(samples)
    })

  positions = (key: Key) =>
    this.#run("positions", key, undefined, (folder) =>
      Effect.succeed(
        list(folder).flatMap((name) => positionOf(name) ?? []).sort((a, b) => a - b)
      ))

  prepare = (key: Key) =>
    Effect.clockWith((clock) =>
      this.#run("prepare", key, undefined, (folder) => {
        this.#prepare(key, folder)
        this.#log.recover(clock.currentTimeMillisUnsafe(), Path.relative(this.#root, folder))
        return Effect.void
      })
    )

  put: Store["put"] = (key, entries, ifTaken) =>
    this.#run("put", key, entries[0].position, (folder) => {
      // The folder was deleted, or the key was never prepared.
      if (!Fs.existsSync(folder)) this.#prepare(key, folder)
      return Effect.succeed(
        entries.length === 1
          ? [this.#place(folder, entries[0], ifTaken)]
          : this.#log.write({ id: crypto.randomUUID(), folder: Path.relative(this.#root, folder), entries, ifTaken })
      )
    })

  remove: Store["remove"] = (key, positions) =>
    this.#run("remove", key, positions[0], (folder) => {
      for (const position of positions) ifPresent(() => Fs.unlinkSync(Path.join(folder, `${position}.md`)))
      return Effect.void
    })

  keys = ({ identity }: KeyFilter = {}) =>
    Stream.unwrap(Effect.clockWith((clock) =>
      Effect.sync(() => {
        try {
          // What a killed process left half put belongs to the keys too, where it can be written.
          this.#log.recover(clock.currentTimeMillisUnsafe(), "")
        } catch (cause) {
          if (!isFault(cause)) throw cause
        }
        return listKeys(this.#name, this.#root)
      })
    )).pipe(
      Stream.filter((element) =>
        identity === undefined || (Result.isSuccess(element) && element.success.key.identity.id === identity.id)
      )
    )

  #identityFolder(identity: Identity): ReturnType<typeof identityFolder> {
    const known = this.#folders.get(identity)
    if (known !== undefined) return known
    const folder = this.#checkedFolder(identity)
    // What is refused may be mended meanwhile.
    if (folder.ok) this.#folders.set(identity, folder)
    return folder
  }

  // A file system may take two names for one, such as `A` and `a`.
  #checkedFolder(identity: Identity): ReturnType<typeof identityFolder> {
    const folder = identityFolder(identity)
    if (!folder.ok) return folder
    const path = Path.join(this.#root, folder.path)
    const holder = holderOf(readIfPresent(Path.join(path, "identity.json")))
    return holder === undefined || (holder.name === identity.name && holder.temperature === identity.temperature)
      ? { ok: true, path }
      : {
        ok: false,
        why: `${path} is the folder of ${JSON.stringify(holder.name)}, not of ${JSON.stringify(identity.name)}`
      }
  }

  #folder(key: Key): ReturnType<typeof identityFolder> {
    const identity = this.#identityFolder(key.identity)
    if (!identity.ok) return identity
    const folder = keyFolder(key)
    return folder.ok ? { ok: true, path: `${identity.path}${Path.sep}${folder.path}` } : folder
  }

  // The sample in a folder, or what is wrong with it.
  #read(folder: string, position: number): Drawn | string | undefined {
    const file = fileOf(folder, position)
    let content = this.#reader.read(file)
    if (content === undefined) {
      const stats = Fs.lstatSync(file, { throwIfNoEntry: false })
      if (stats?.isSymbolicLink()) {
        return `${file} is a link that leads nowhere. Restore what it leads to, or delete it to have the position ` +
          "drawn again"
      }
      // Another process may just have stored it.
      content = stats && this.#reader.read(file)
      if (content === undefined) return undefined
    }
    return this.#known(folder, position, content)
  }

  // A sample by what is in its file, or what is wrong with it.
  #known(folder: string, position: number, content: Content): Drawn | string {
    const known = this.#journal.find(folder, position, content)
    if (known === "differs") {
      return `${
        fileOf(folder, position)
      } is not what was recorded, it may have been cut off or edited. Restore it, delete it to ` +
        "have the position drawn again, or delete its lines in the .jsonl file beside it to take it as it is"
    }
    if (known === undefined && !content.isText) {
      return `${fileOf(folder, position)} is not UTF-8. Restore it, or delete it to have the position drawn again`
    }
    return { text: content.text, metadata: known?.metadata ?? {}, origins: known?.origins ?? [] }
  }

  #sealOf(file: string, content: number): number {
    return sealOf(file.slice(this.#root.length), content)
  }

  // What the file system refuses behind the first is for who asks from there on.
  #readBehind(folder: string, from: number, i: number): Drawn | string | undefined {
    try {
      return this.#read(folder, from + i)
    } catch (cause) {
      if (i > 0 && isFault(cause)) return undefined
      throw cause
    }
  }

  // Runs an operation in the folder of a key, with what the file system throws as a StoreError.
  #run<A>(
    operation: StoreError["operation"],
    key: Key,
    position: number | undefined,
    use: (folder: string, failed: Fail) => Effect.Effect<A, StoreError>
  ): Effect.Effect<A, StoreError> {
    return Effect.suspend(() => {
      const failed = failure(this.#name, operation, key, position)
      this.#journal.begin()
      try {
        const folder = this.#folder(key)
        return folder.ok
          ? use(folder.path, failed)
          : failed({ kind: "InvalidName", description: advise(folder.why) })
      } catch (cause) {
        if (!isFault(cause)) throw cause
        const where = this.describe(key)
        return failed(explain(cause, position === undefined ? where : Path.join(where, `${position}.md`)))
      }
    })
  }

  #prepare(key: Key, folder: string): void {
    if (Fs.existsSync(folder)) {
      Fs.accessSync(folder, Fs.constants.W_OK)
    } else {
      // Prompts and answers are their owner's alone, unless the owner makes the root.
      if (!Fs.existsSync(this.#root)) Fs.mkdirSync(this.#root, { recursive: true, mode: 0o700 })
      Fs.mkdirSync(folder, { recursive: true })
    }
    const identity = this.#identityFolder(key.identity)
    if (!identity.ok) return
    const promptDirectory = Path.join(identity.path, key.promptHash)
    if (!Fs.existsSync(Path.join(promptDirectory, "prompt.txt"))) {
      writeNew(promptDirectory, "prompt.txt", key.prompt)
    }
    if (!Fs.existsSync(Path.join(identity.path, "identity.json"))) {
      const { name, parameters, temperature } = key.identity
      const content = { name, temperature, parameters: JSON.parse(parameters) }
      writeNew(identity.path, "identity.json", `${JSON.stringify(content, undefined, 2)}\n`)
    }
  }

  // Stores the samples of a purchase that the log has, as long as the log has it.
  readonly #placeAll = ({ entries, folder, id, ifTaken }: Purchase, isTakenOver: boolean, isOurs: () => boolean) => {
    const absolute = Path.join(this.#root, folder)
    if (isTakenOver) Fs.mkdirSync(absolute, { recursive: true })
    return entries.map((entry, i) => {
      const sampleId = entry.id ?? `${id} ${i}`
      const isPlaced = isTakenOver &&
        this.#journal.places(absolute, sampleId).some((position) =>
          this.#isAt(absolute, position, entry.drawn.text, sampleId)
        )
      return isPlaced || !isOurs() ? undefined : this.#place(absolute, { ...entry, id: sampleId }, ifTaken)
    })
  }

  // A line alone says only that it was to be there.
  #isAt(folder: string, position: number, text: string, id: string): boolean {
    const content = this.#reader.read(fileOf(folder, position))
    return content?.text === text && this.#journal.has(folder, position, content, id)
  }

  // Stores a sample at its position, or where that is taken at the next one that is free, and says where.
  #place(folder: string, { drawn, id, position }: Entry, ifTaken: "append" | "drop"): number | undefined {
    for (let free = position;; free++) {
      const file = fileOf(folder, free)
      const isFree = Fs.lstatSync(file, { throwIfNoEntry: false }) === undefined
      if (isFree) {
        let line: string | undefined
        let isWritten = false
        try {
          isWritten = writeNew(folder, `${free}.md`, drawn.text, (descriptor, { ino, mtimeMs }) => {
            line = this.#journal.append(folder, free, drawn, id, ino)
            seal(descriptor, mtimeMs, this.#sealOf(file, crc32(drawn.text)))
          })
        } finally {
          if (!isWritten && line !== undefined) this.#journal.retract(folder, free, line)
        }
        if (isWritten) return free
      }
      if (id !== undefined && this.#isAt(folder, free, drawn.text, id)) return free
      if (ifTaken === "drop") return undefined
    }
  }
}

const fileOf = (folder: string, position: number): string => `${folder}${Path.sep}${position}.md`
