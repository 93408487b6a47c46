import { advice, laterVersion, unavailable } from "@llm-cache/core/StoreFault"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { FaultError, isBusy } from "./errors.ts"
import { sha256OfPrompt } from "./rows.ts"
import {
  applicationId,
  migrations,
  type ReadStatements,
  readStatements,
  type Statements,
  writeStatements
} from "./schema.ts"

/** How many kilobytes of the file stay in memory: enough for the inner pages of a large cache's indexes. */
const cacheSize = 16_384

/** In bytes. Samples of some kilobytes fill such a page better than a smaller one. */
const pageSize = 8192

/** How many pages the write-ahead log collects before a checkpoint copies them into the file: 32 MB. */
const checkpoint = 4000

type Mode = "write" | "read" | "immutable"

interface Connection<S extends ReadStatements = ReadStatements> {
  readonly db: DatabaseSync
  /** The version of the schema. */
  readonly version: number
  readonly statements: S
  readonly mode: Mode
  /** Whether a commit waits until the disk has it. */
  isForced: boolean
  /** The opened file, with the largest size seen. */
  stats: Fs.Stats
}

/** The connection to a file, opened when it is needed. A fault closes it, so that the next use finds a restored file. */
export class Connections {
  readonly #sqlite = loadSqlite()
  readonly #file: string
  readonly #isDurable: boolean
  readonly #isReadOnly: boolean
  #current: Connection | undefined
  #writing: Connection<Statements> | undefined
  #isClosed = false

  constructor(file: string, isDurable: boolean, isReadOnly = false) {
    this.#file = file
    this.#isDurable = isDurable
    this.#isReadOnly = isReadOnly
  }

  /** The statements for reading, `undefined` if the file is missing or empty. */
  read(): ReadStatements | undefined {
    const current = this.#current
    if (current !== undefined && this.#isCurrent(current)) return current.statements
    this.disconnect()
    const stats = this.#stat()
    if (stats === undefined) return undefined
    if (!stats.isFile()) throw refuse("this is not a file", "Give the name of a file: a missing file is created")
    return (this.#current = this.#openToRead(stats))?.statements
  }

  /** Reads, and recovers from a fault. Returns `undefined` if the file is missing or empty. */
  use<A>(evaluate: (statements: ReadStatements) => A): A | undefined {
    try {
      const statements = this.read()
      return statements && evaluate(statements)
    } catch (cause) {
      this.recover(cause)
      throw cause
    }
  }

  /** Runs queries that are rare, and not prepared before. */
  query<A>(evaluate: (query: (sql: string) => Iterable<unknown>, version: number) => A): A | undefined {
    return this.use(() => {
      const { db, version } = this.#current!
      return evaluate((sql) => {
        const statement = db.prepare(sql)
        statement.setReturnArrays(true)
        return statement.iterate()
      }, version)
    })
  }

  /** Closes the connection after a fault of the file, so that the next use opens the file anew. */
  recover(cause: unknown): void {
    if (!isBusy(cause) && !(cause instanceof FaultError) && !this.#isClosed) this.disconnect()
  }

  /** Prepares for writing: checks that the file is still in place, and creates a missing one. */
  prepare(): void {
    if (this.#writing !== undefined && !this.#isInPlace(this.#writing)) this.disconnect()
    this.#write()
  }

  /**
   * Runs a transaction. When it returns, every process that opens the file sees it, and a durable one is on the disk.
   * Throws an error of `isBusy` if another process writes.
   */
  transact<A>(body: (statements: Statements) => A, isForced = this.#isDurable): A {
    const current = this.#write()
    const { begin, commit, rollback } = current.statements
    let result: A
    try {
      if (current.isForced !== isForced) {
        current.db.exec(synchronous(isForced))
        current.isForced = isForced
      }
      begin.run()
      result = body(current.statements)
      commit.run()
    } catch (cause) {
      try {
        rollback.run()
      } catch {
        // SQLite rolled back itself, or never began
      }
      this.recover(cause)
      throw cause
    }
    if (!this.#isInPlace(current)) {
      this.disconnect()
      throw refuse(
        "the file was deleted, replaced or cut off during use",
        `Restore it, or let the next draw create a new one. ${advice.kept}`
      )
    }
    return result
  }

  /** Runs a transaction, unless the file is missing or empty. */
  change(body: (statements: Statements) => void, isForced = this.#isDurable): void {
    if (this.use(() => true)) this.transact(body, isForced)
  }

  /** Closes the connection until the next use. */
  disconnect(): void {
    if (this.#isClosed) throw new Error("This store was used after the scope of its layer was closed")
    const current = this.#current
    this.#current = this.#writing = undefined
    try {
      current?.db.close()
    } catch {
      // The file and its write-ahead log have every commit.
    }
  }

  close(): void {
    this.disconnect()
    this.#isClosed = true
  }

  #write(): Connection<Statements> {
    if (this.#writing !== undefined) return this.#writing
    if (this.#isReadOnly) throw refuse("the store is opened for reading", "Leave out `isReadOnly` to write")
    this.disconnect()
    if (this.#stat() === undefined) {
      // Prompts and samples are private to their owner, unless the owner creates the folder or the file.
      const folder = Path.dirname(this.#file)
      const first = Fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
      makeEmpty(this.#file)
      if (this.#isDurable && first !== undefined) forceFolders(folder, Path.dirname(first))
    }
    Fs.accessSync(this.#file, Fs.constants.R_OK | Fs.constants.W_OK)
    Fs.accessSync(Path.dirname(this.#file), Fs.constants.W_OK)
    return this.#current = this.#writing = this.#openToWrite(this.#stat())
  }

  #openToWrite(stats: Fs.Stats | undefined): Connection<Statements> {
    return this.#open(this.#file, "write", stats, (db) => {
      const version = versionOf(db)
      // This takes effect only in a new file.
      db.exec(`pragma page_size = ${pageSize}`)
      const [mode] = Object.values(db.prepare("pragma journal_mode = wal").get() ?? {})
      if (mode !== "wal") {
        throw refuse("the file system cannot share memory between processes", "Give a file on a local disk")
      }
      db.exec(`${synchronous(this.#isDurable)}; pragma wal_autocheckpoint = ${checkpoint}`)
      if (version < migrations.length) migrate(db)
      return {
        version: migrations.length,
        statements: { ...prepare(db, readStatements(migrations.length)), ...prepare(db, writeStatements) }
      }
    })
  }

  #openToRead(stats: Fs.Stats): Connection | undefined {
    const setUp = (db: DatabaseSync) => {
      const version = versionOf(db)
      if (version === 0) throw emptyDatabase
      return { version, statements: prepare(db, readStatements(version)) }
    }
    const openAlone = () => {
      const url = pathToFileURL(this.#file)
      url.searchParams.set("immutable", "1")
      return this.#open(url, "immutable", stats, setUp)
    }
    try {
      // SQLite shares a file through two more files. If they are missing, no process writes.
      if (this.#isReadOnly && !this.#hasLog()) return openAlone()
      try {
        return this.#open(this.#file, "read", stats, setUp)
      } catch (cause) {
        // It cannot create them.
        if (cause instanceof FaultError || cause === emptyDatabase || this.#hasLog()) throw cause
        return openAlone()
      }
    } catch (cause) {
      if (cause === emptyDatabase) return undefined
      throw cause
    }
  }

  #open<S extends ReadStatements>(
    location: string | URL,
    mode: Mode,
    stats: Fs.Stats | undefined,
    setUp: (db: DatabaseSync) => Pick<Connection<S>, "version" | "statements">
  ): Connection<S> {
    // SQLite would wait for other processes without returning to the program.
    const db = new this.#sqlite.DatabaseSync(location, { readOnly: mode !== "write", timeout: 0 })
    try {
      db.exec(`pragma cache_size = -${cacheSize}`)
      db.function("sha256", { deterministic: true }, sha256OfPrompt)
      return { ...setUp(db), db, mode, isForced: this.#isDurable, stats: stats ?? Fs.statSync(this.#file) }
    } catch (cause) {
      db.close()
      throw cause
    }
  }

  #stat(): Fs.Stats | undefined {
    try {
      return Fs.statSync(this.#file)
    } catch (cause) {
      // `throwIfNoEntry` would also hide a file in the place of a folder.
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  }

  // Whether the path still names the opened file, at its full length.
  #isInPlace(connection: Connection): boolean {
    const stats = this.#stat()
    if (stats === undefined || stats.ino !== connection.stats.ino || stats.dev !== connection.stats.dev) return false
    if (stats.size < connection.stats.size) return false
    connection.stats = stats
    return true
  }

  // Whether no other process replaced an immutable file, or migrated the schema.
  #isCurrent({ db, mode, stats, version }: Connection): boolean {
    if (version < migrations.length && versionOf(db) !== version) return false
    if (mode !== "immutable") return true
    const now = this.#stat()
    return now?.ino === stats.ino && now.size === stats.size && now.mtimeMs === stats.mtimeMs &&
      !this.#hasLog()
  }

  #hasLog(): boolean {
    return Fs.existsSync(`${this.#file}-wal`)
  }
}

const refuse = (message: string, advice: string) => new FaultError(unavailable(message, advice))

// In WAL mode, `full` forces each commit to the disk, and `normal` only checkpoints.
const synchronous = (isForced: boolean) => `pragma synchronous = ${isForced ? "full" : "normal"}`

// Not an import, which would fail with the whole program where it is missing.
const loadSqlite = () => {
  const sqlite = process.getBuiltinModule?.("node:sqlite")
  if (sqlite?.StatementSync.prototype.setReturnArrays === undefined) {
    throw refuse(`Node ${process.version} has no complete node:sqlite`, "Use Node 22.20 or later, or a directory")
  }
  return sqlite
}

const emptyDatabase = new Error("an empty database")

// Closing a descriptor releases all locks of the process on the file, so this opens only a new file.
const makeEmpty = (file: string): void => {
  try {
    Fs.closeSync(Fs.openSync(file, "wx", 0o600))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
  }
}

// A new folder is on the disk when the folder above it is. SQLite does so for the files of the lowest.
const forceFolders = (lowest: string, highest: string): void => {
  if (process.platform === "win32") return
  for (let folder = lowest; folder.length >= highest.length; folder = Path.dirname(folder)) {
    const descriptor = Fs.openSync(folder, "r")
    try {
      Fs.fsyncSync(descriptor)
    } finally {
      Fs.closeSync(descriptor)
    }
    if (folder === Path.dirname(folder)) break
  }
}

const prepare = <Name extends string>(
  db: DatabaseSync,
  statements: Readonly<Record<Name, string>>
): Readonly<Record<Name, StatementSync>> => {
  const prepared = Object.entries<string>(statements).map(([name, sql]) => {
    const statement = db.prepare(sql)
    statement.setReturnArrays(true)
    return [name, statement]
  })
  return Object.fromEntries(prepared)
}

/** The version of the schema, 0 if the database is empty. */
const versionOf = (db: DatabaseSync): number => {
  const read = (sql: string) => Number(Object.values(db.prepare(sql).get() ?? {})[0])
  // One transaction, because another process may be creating the tables.
  const isWithin = db.isTransaction
  if (!isWithin) db.exec("begin")
  try {
    const version = read("pragma user_version")
    if (read("pragma application_id") === applicationId) {
      if (version > migrations.length) {
        throw new FaultError(laterVersion(version, migrations.length))
      }
      return version
    }
    if (version !== 0 || read("select count(*) from sqlite_schema") !== 0) {
      throw refuse("this database belongs to another program", "Give another file")
    }
    return 0
  } finally {
    if (!isWithin) db.exec("rollback")
  }
}

// Several processes may migrate at once: the version is read again within the transaction.
const migrate = (db: DatabaseSync): void => {
  db.exec("begin immediate")
  try {
    for (const sql of migrations.slice(versionOf(db))) db.exec(sql)
    db.exec(`pragma application_id = ${applicationId}; pragma user_version = ${migrations.length}; commit`)
  } catch (cause) {
    if (db.isTransaction) db.exec("rollback")
    throw cause
  }
}
