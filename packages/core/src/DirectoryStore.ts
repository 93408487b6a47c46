/**
 * A store of files that people can read, share and keep under version control.
 *
 * **When to use**
 *
 * Use it for the cache of a program, an experiment or a test suite. `Persistent.layer({ directory })` opens one by its
 * root; open it here to copy, merge or list its samples.
 *
 * **Details**
 *
 * `<root>/<alias>_<temperature>/<sha256 of the prompt>/<position>.md`, each file the text of one sample, is the layout of
 * the Python original. Beside the samples, `prompt.txt` is the prompt, and the metadata log `0-255.jsonl`
 * (`256-511.jsonl`, …) has a line of metadata for each sample, with its length and checksum. Other sampling parameters add
 * a suffix to the first folder, and so does an alias with capitals or letters other than ASCII, which a file system may
 * fold; `identity.json` in it explains the suffix. A folder that has the name of the original stays in use. The samples of forks are in `forks/<name>`
 * below the prompt's folder. The write-ahead log in `.purchases` has the samples of a request until their files are safe.
 *
 * - A `~` at the start of the root is the home folder. The first sample that is recorded creates a missing root, with
 *   access for its owner alone.
 * - In a folder without a metadata log, as the original leaves it, every file is taken as it is, if it is UTF-8. With
 *   the first sample that is recorded there, the log gets a line for each of them.
 * - In a folder with a log, a file that differs from its line, or has none, is a `StoreError` of kind `Damaged`: after a
 *   power failure, in a checkout of Git without LFS, or if the original or a person wrote it. The error has the line
 *   that takes the file as it is.
 * - The microseconds of a sample file's modification time are a second checksum, of its text and its path. If it matches,
 *   a single sample is read without its line. If it does not match, as in a copy without times, the line is read.
 * - Delete a sample's file to have that position drawn again. Files of other names are skipped.
 * - A store needs Linux or macOS. Any number of processes on one machine can share a root. On a file system without hard
 *   links, a killed process may leave a part of a sample: it is never read as a sample, and the next process that records
 *   completes it from the write-ahead log.
 * - Rights, space and names that the file system refuses are found before a request. If the process has no descriptor left,
 *   a sample waits for one for a second.
 * - A sample that a draw returned survives a power failure: its request is forced to the disk in the write-ahead log, by
 *   one write that concurrent requests share. After a power failure, the next process that records, or lists the keys,
 *   writes the samples again that their files lost. With `durability: "process"` the last seconds may be lost.
 *
 * **Example** (Count the samples of each prompt)
 *
 * ```ts
 * import { DirectoryStore } from "@llm-cache/core"
 * import { Console, Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* DirectoryStore.make("~/.llm_cache")
 *   yield* store.keys().pipe(
 *     Stream.mapEffect(Effect.fromResult),
 *     Stream.runForEach(({ key, samples }) => Console.log(`${samples} of ${key.prompt}`))
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { advise, attempt, explain, type Fail, failure, isFault, isOutOfFiles } from "./internal/directory/errors.ts"
import { FileReader } from "./internal/directory/fileReader.ts"
import { ifPresent, list } from "./internal/directory/files.ts"
import { longestWait, sleep } from "./internal/directory/force.ts"
import { KeyFolders } from "./internal/directory/keyFolders.ts"
import { listIdentities } from "./internal/directory/listIdentities.ts"
import { listKeys } from "./internal/directory/listKeys.ts"
import { MetadataLog } from "./internal/directory/metadataLog.ts"
import { isPromptFolder, positionOf, samplePath } from "./internal/directory/samplePath.ts"
import { SampleReader } from "./internal/directory/sampleReader.ts"
import { SampleWriter } from "./internal/directory/sampleWriter.ts"
import { WriteAheadLog } from "./internal/directory/writeAheadLog.ts"
import { fromHome } from "./internal/homeFolder.ts"
import { Fs, Path } from "./internal/node.ts"
import type { Key } from "./Key.ts"
import type { StoreError } from "./SampleError.ts"
import * as SampleStore from "./SampleStore.ts"
import { advice } from "./StoreFault.ts"

/**
 * How a directory keeps its samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What a recorded sample outlives: with `"power"` also a power failure, with `"process"` the end of the process.
   *
   * With `"power"` a request costs a forced write of the write-ahead log, some milliseconds, which requests that return
   * at once share. The files of the samples are forced in the background. A program that ends waits for that.
   *
   * @default "power"
   */
  readonly durability?: "power" | "process" | undefined
  /**
   * Whether the store changes no file: it refuses to write, and it does not finish the requests of killed processes, so that their
   * samples are not listed.
   *
   * @default false
   */
  readonly isReadOnly?: boolean | undefined
}

/**
 * Opens a directory as a store. Fails if the root is, or is below, something that is not a directory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (root: string, options: Options = {}): Effect.Effect<SampleStore.Store, StoreError> =>
  Effect.suspend(() => {
    const failed = failure(`directory ${root}`, "open")
    if (Fs === undefined) {
      return failed({
        kind: "InvalidName",
        description:
          "a browser has no file system: sample in memory, with `Persistent.layer({ store: MemoryStore.layer })`"
      })
    }
    if (root === "" || root.includes("\0")) {
      return failed({ kind: "InvalidName", description: "the directory's name is empty, or has a NUL character" })
    }
    const path = fromHome(root)
    if (path === undefined) {
      return failed({
        kind: "InvalidName",
        description: "this user has no home folder: set HOME, or give a directory without `~`"
      })
    }
    const absolute = Path.resolve(path)
    return Effect.flatMap(
      attempt(failed, () => Fs.statSync(absolute, { throwIfNoEntry: false })),
      (stats) =>
        stats === undefined || stats.isDirectory()
          ? attempt(failed, () => {
            const store = open(absolute, options.durability !== "process", options.isReadOnly === true)
            return options.isReadOnly === true ? readOnly(store) : store
          })
          : failed({
            kind: "Unavailable",
            description: "this is not a directory: give another one, or move the file away"
          })
    )
  })

/**
 * Provides a directory as the store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (root: string, options?: Options): Layer.Layer<SampleStore.SampleStore, StoreError> =>
  Layer.effect(SampleStore.SampleStore, make(root, options))

// Calls to the file system are synchronous: a sample is a small file in the page cache, and reading it takes less time
// than a way through the thread pool (benchmark row `directory-prompts`).
const open = (root: string, isForced: boolean, isReadOnly: boolean): SampleStore.Store => {
  const name = `directory ${root}`
  const folders = new KeyFolders(root)
  const files = new FileReader()
  const metadataLog = new MetadataLog(files)
  const reader = new SampleReader(root, files, metadataLog)
  const writer = new SampleWriter(root, files, metadataLog)
  const writeAheadLog = new WriteAheadLog(root, writer, folders, isForced)

  const describe = (key: Key): string => {
    try {
      const folder = folders.find(key)
      return folder.ok ? folder.path : name
    } catch {
      return name
    }
  }

  // Runs an operation in the folder of a key. A fault of the file system becomes a `StoreError`.
  const inFolder = <A>(
    operation: StoreError["operation"],
    key: Key,
    position: number | undefined,
    use: (folder: string, failed: Fail) => Effect.Effect<A, StoreError>
  ): Effect.Effect<A, StoreError> =>
    Effect.suspend(() => {
      const failed = failure(name, operation, key, position)
      try {
        const folder = folders.find(key)
        return folder.ok ? use(folder.path, failed) : failed({ kind: "InvalidName", description: advise(folder.why) })
      } catch (cause) {
        if (!isFault(cause)) throw cause
        const where = describe(key)
        return failed(explain(cause, position === undefined ? where : samplePath(where, position)))
      }
    })

  const read = (folder: string, failed: Fail, from: number, count: number) => {
    const samples = reader.read(folder, from, count)
    return typeof samples === "string" ? failed({ kind: "Damaged", description: samples }) : Effect.succeed(samples)
  }

  // The half-written request of a killed process has keys too. A root that cannot be written is listed as it is.
  const recovered = <A, E>(listed: () => Stream.Stream<A, E>): Stream.Stream<A, E> =>
    isReadOnly ? Stream.suspend(listed) : Stream.unwrap(Effect.clockWith((clock) =>
      Effect.sync(() => {
        try {
          writeAheadLog.recover(clock.currentTimeMillisUnsafe(), "")
        } catch (cause) {
          if (!isFault(cause)) throw cause
        }
        return listed()
      })
    ))

  return SampleStore.make({
    id: `directory ${realPath(root)}`,
    describe: (key) => `${describe(key)}${wrongFolder(root)}`,
    getMany: (key, from, count) =>
      inFolder("get", key, from, (folder, failed) => {
        if (writeAheadLog.isForced(folder)) return read(folder, failed, from, count)
        // A sample that is handed out survives a power failure.
        return Effect.andThen(
          settled(writeAheadLog.forceFolder(folder), failed, folder),
          inFolder("get", key, from, (folder, failed) => read(folder, failed, from, count))
        )
      }),
    peek: (key, from, count) => {
      try {
        const folder = folders.find(key)
        return folder.ok && writeAheadLog.isForced(folder.path)
          ? reader.peek(folder.path, from, count)
          : []
      } catch (cause) {
        if (!isFault(cause)) throw cause
        return []
      }
    },
    positions: (key) =>
      inFolder(
        "positions",
        key,
        undefined,
        (folder) => Effect.succeed(list(folder).flatMap((name) => positionOf(name) ?? []).sort((a, b) => a - b))
      ),
    prepare: (key) =>
      Effect.clockWith((clock) =>
        waitForFiles(inFolder("prepare", key, undefined, (folder, failed) => {
          folders.create(key, folder)
          if (isFull(folder)) return failed({ kind: "Unavailable", description: `${folder}: ${advice.diskFull}` })
          writeAheadLog.recover(clock.currentTimeMillisUnsafe(), Path.relative(root, folder))
          return Effect.void
        }))
      ),
    discard: (key) =>
      inFolder("prepare", key, undefined, (folder) => {
        folders.discard(key, folder)
        return Effect.void
      }),
    put: (key, entries, ifTaken) =>
      waitForFiles(inFolder("put", key, entries[0].position, (folder, failed) => {
        // The folder was deleted, or the key was never prepared.
        if (!Fs.existsSync(folder)) folders.create(key, folder)
        if (entries.length === 1 && !isForced && folders.hasLinks) {
          return Effect.succeed([writer.write(folder, entries[0], ifTaken)])
        }
        const named = entries.map((entry) => ({ ...entry, id: entry.id ?? crypto.randomUUID() }))
        const { forced, positions } = writeAheadLog.write({
          folder: Path.relative(root, folder),
          entries: named,
          ifTaken,
          key
        })
        return forced === undefined
          ? Effect.succeed(positions)
          : Effect.as(settled(forced, failed, folder), positions)
      })),
    remove: (key, positions) =>
      inFolder("remove", key, positions[0], (folder) => {
        for (const position of positions) ifPresent(() => Fs.unlinkSync(samplePath(folder, position)))
        writeAheadLog.noteRemoved(Path.relative(root, folder), positions)
        return Effect.void
      }),
    keys: (filter = {}) => recovered(() => listKeys(name, root, folders, filter)),
    identities: recovered(() => listIdentities(name, root))
  })
}

const readOnly = (store: SampleStore.Store): SampleStore.Store => {
  const refuse = (operation: StoreError["operation"]) => (key: Key) =>
    failure(store.id, operation, key)({
      kind: "Unavailable",
      description: "the store is opened for reading: leave out `isReadOnly` to write"
    })
  const { identities, peek } = store
  return SampleStore.make({
    ...store,
    identities,
    peek,
    prepare: refuse("prepare"),
    put: refuse("put"),
    remove: refuse("remove")
  })
}

// The same before and after the first sample creates the root.
const realPath = (path: string): string =>
  ifPresent(() => Fs.realpathSync(path)) ?? Path.join(realPath(Path.dirname(path)), Path.basename(path))

// Waits for a forced write. A fault of the file system becomes a `StoreError`.
const settled = (forced: Promise<void>, failed: Fail, folder: string): Effect.Effect<void, StoreError> =>
  Effect.callback((resume) => {
    forced.then(
      () => resume(Effect.void),
      (cause) => resume(isFault(cause) ? failed(explain(cause, folder)) : Effect.die(cause))
    )
  })

// Other parts of the program may free descriptors soon, as when responses end: a sample that was paid for waits for one.
const waitForFiles = <A>(self: Effect.Effect<A, StoreError>, wait = 1): Effect.Effect<A, StoreError> =>
  Effect.catchIf(
    self,
    ({ cause }) => isOutOfFiles(cause) && wait <= longestWait,
    () => Effect.andThen(Effect.promise(() => sleep(wait)), waitForFiles(self, wait * 2))
  )

// A store that is full says so before a request is paid for. File systems that do not count blocks have none.
const isFull = (folder: string): boolean => {
  const { bavail, bfree, blocks, bsize } = Fs.statfsSync(folder)
  return blocks > 0 && (process.getuid?.() === 0 ? bfree : bavail) * bsize < leastSpace
}

/** The space that a request needs, in bytes. */
const leastSpace = 2 ** 16

const wrongFolder = (root: string): string => {
  if (hasPrompts(root)) return ` (${root} is the folder of one model: give the folder of the cache, above it)`
  if (Fs.existsSync(root)) return ""
  let above = Path.dirname(Path.resolve(root))
  while (!Fs.existsSync(above) && above !== Path.dirname(above)) above = Path.dirname(above)
  return ` (there is no folder ${root}; the nearest one above it is ${above})`
}

// A description of a place never fails: the folder may be unreadable.
const hasPrompts = (root: string): boolean => {
  try {
    return Fs.readdirSync(root).some(isPromptFolder)
  } catch {
    return false
  }
}
