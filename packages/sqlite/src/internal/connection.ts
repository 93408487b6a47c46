import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { applicationId, migrations, type Statements, statements } from "./schema.ts"
import { isBusy, Refusal } from "./sqliteError.ts"

/** How long one waits for another process to let go of the file, in milliseconds. */
const patience = 5000

/** How much of the file is held in memory, in kilobytes: enough for the inner pages of the indexes of large caches. */
const cacheSize = 16_384

/** In bytes. Samples of some kilobytes leave less of such a page empty than of a smaller one. */
const pageSize = 8192

/** How many pages are written to the file beside it before they are forced to the disk and go into the file: 32 MB. */
const checkpoint = 4000

interface Connection {
  readonly db: DatabaseSync
  readonly statements: Statements
  readonly mode: "write" | "read" | "immutable"
  /** The file when it was opened, and as large as it was seen. */
  stats: Fs.Stats
}

/**
 * A file as a database, open when it is needed. After a fault it is closed, and opened anew for what comes next, so that
 * it is used again when it is back.
 */
export class Connections {
  readonly #file: string
  readonly #isReadOnly: boolean
  #current: Connection | undefined
  #isClosed = false

  constructor(file: string, isReadOnly: boolean) {
    this.#file = file
    this.#isReadOnly = isReadOnly
  }

  /** For reading: `undefined` where there is no file, or nothing in it. */
  read(): Statements | undefined {
    const current = this.#current
    if (current !== undefined && (current.mode !== "immutable" || this.#isUntouched(current))) return current.statements
    this.drop()
    const stats = this.#stat()
    if (stats === undefined) return undefined
    if (!stats.isFile()) throw new Refusal("this is not a file: give the name of one, it is made when it is missing")
    this.#current = this.#isReadOnly || !mayWrite(this.#file) ? this.#openToRead(stats) : this.#openToWrite(stats)
    return this.#current?.statements
  }

  /** Reads, and recovers from a fault. `undefined` where there is nothing. */
  use<A>(evaluate: (statements: Statements) => A): A | undefined {
    try {
      const statements = this.read()
      return statements && evaluate(statements)
    } catch (cause) {
      this.recover(cause)
      throw cause
    }
  }

  /** After a fault, what comes next opens the file anew. */
  recover(cause: unknown): void {
    if (!isBusy(cause) && !this.#isClosed) this.drop()
  }

  /** Makes ready to write: looks whether the file is still there, and makes it where it is missing. */
  prepare(): void {
    if (this.#current !== undefined && !(this.#current.mode === "write" && this.#isInPlace(this.#current))) this.drop()
    this.#write()
  }

  /** Runs a transaction. It is on the disk, for all who open the file, or has not been. */
  transact<A>(body: (statements: Statements) => A): A {
    const current = this.#write()
    const { begin, commit, rollback } = current.statements
    let result: A
    try {
      begin.run()
      result = body(current.statements)
      commit.run()
    } catch (cause) {
      try {
        rollback.run()
      } catch {
        // SQLite did so itself, or has not begun
      }
      this.recover(cause)
      throw cause
    }
    if (!this.#isInPlace(current)) {
      this.drop()
      throw new Refusal(
        "the file was deleted, replaced or cut off while it was used. Put it back, or have a new one made: what was " +
          "bought since is kept in memory, and the next draw stores it"
      )
    }
    return result
  }

  /** Closes what is open, until it is needed again. */
  drop(): void {
    if (this.#isClosed) throw new Error("This store was used after the scope of its layer was closed")
    const current = this.#current
    this.#current = undefined
    try {
      current?.db.close()
    } catch {
      // what was committed is in the file, or beside it
    }
  }

  close(): void {
    this.drop()
    this.#isClosed = true
  }

  #write(): Connection {
    if (this.#current?.mode === "write") return this.#current
    this.drop()
    if (this.#isReadOnly) throw new Refusal("in replication nothing is written: use the store without it")
    if (this.#stat() === undefined) {
      // Prompts and answers are their owner's alone, unless the owner makes the folder or the file.
      Fs.mkdirSync(Path.dirname(this.#file), { recursive: true, mode: 0o700 })
      makeEmpty(this.#file)
    }
    Fs.accessSync(this.#file, Fs.constants.R_OK | Fs.constants.W_OK)
    Fs.accessSync(Path.dirname(this.#file), Fs.constants.W_OK)
    return this.#current = this.#openToWrite(this.#stat())
  }

  #openToWrite(stats: Fs.Stats | undefined): Connection {
    return this.#open(this.#file, "write", stats, (db) => {
      const version = versionOf(db)
      // where the file is new
      db.exec(`pragma page_size = ${pageSize}`)
      const [mode] = Object.values(db.prepare("pragma journal_mode = wal").get() ?? {})
      if (mode !== "wal") {
        throw new Refusal("the file system cannot share memory between processes: give a file on a local disk")
      }
      db.exec(`pragma synchronous = normal; pragma wal_autocheckpoint = ${checkpoint}`)
      if (version < migrations.length) migrate(db)
    })
  }

  #openToRead(stats: Fs.Stats): Connection | undefined {
    const check = (db: DatabaseSync) => {
      const version = versionOf(db)
      if (version === 0) throw nothing
      if (version < migrations.length) {
        throw new Refusal("the file was written by an earlier version: open it once with the right to write it")
      }
    }
    try {
      try {
        return this.#open(this.#file, "read", stats, check)
      } catch (cause) {
        // SQLite shares a file through two others beside it. Where it cannot make them, no one writes.
        if (cause instanceof Refusal || cause === nothing || Fs.existsSync(`${this.#file}-wal`)) throw cause
        const url = pathToFileURL(this.#file)
        url.searchParams.set("immutable", "1")
        return this.#open(url, "immutable", stats, check)
      }
    } catch (cause) {
      if (cause === nothing) return undefined
      throw cause
    }
  }

  #open(
    location: string | URL,
    mode: Connection["mode"],
    stats: Fs.Stats | undefined,
    setUp: (db: DatabaseSync) => void
  ): Connection {
    // Where two processes change how a new file is kept, SQLite refuses one of them at once.
    for (const start = performance.now();;) {
      const db = new DatabaseSync(location, { readOnly: mode !== "write", timeout: patience })
      try {
        setUp(db)
        db.exec(`pragma cache_size = -${cacheSize}`)
        return { db, statements: prepareAll(db), mode, stats: stats ?? Fs.statSync(this.#file) }
      } catch (cause) {
        db.close()
        if (!isBusy(cause) || performance.now() - start > patience) throw cause
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      }
    }
  }

  #stat(): Fs.Stats | undefined {
    try {
      return Fs.statSync(this.#file)
    } catch (cause) {
      // and not that a file is where a folder should be, which `throwIfNoEntry` takes for the same
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined
      throw cause
    }
  }

  // Whether the file is the one that was opened, and nothing of it was cut off.
  #isInPlace(connection: Connection): boolean {
    const stats = this.#stat()
    if (stats === undefined || stats.ino !== connection.stats.ino || stats.dev !== connection.stats.dev) return false
    if (stats.size < connection.stats.size) return false
    connection.stats = stats
    return true
  }

  #isUntouched({ stats }: Connection): boolean {
    const now = this.#stat()
    return now?.ino === stats.ino && now.size === stats.size && now.mtimeMs === stats.mtimeMs &&
      !Fs.existsSync(`${this.#file}-wal`)
  }
}

const nothing = new Error("an empty database")

// A file descriptor that is closed takes along the locks that this process has on the file, so only a new file is opened.
const makeEmpty = (file: string): void => {
  try {
    Fs.closeSync(Fs.openSync(file, "wx", 0o600))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
  }
}

const mayWrite = (file: string): boolean => {
  try {
    Fs.accessSync(file, Fs.constants.W_OK)
    Fs.accessSync(Path.dirname(file), Fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

const prepareAll = (db: DatabaseSync): Statements => {
  const prepared = Object.entries(statements).map(([name, sql]) => {
    const statement = db.prepare(sql)
    statement.setReturnArrays(true)
    return [name, statement]
  })
  return Object.fromEntries(prepared) as Statements
}

/** The version of the schema, 0 where there is none yet. */
const versionOf = (db: DatabaseSync): number => {
  const read = (sql: string) => Number(Object.values(db.prepare(sql).get() ?? {})[0])
  // At one moment: another process may be making the tables.
  const isWithin = db.isTransaction
  if (!isWithin) db.exec("begin")
  try {
    const version = read("pragma user_version")
    if (read("pragma application_id") === applicationId) {
      if (version > migrations.length) {
        throw new Refusal(
          `the file was written by a later version (its schema is ${version}, this one knows ${migrations.length}): ` +
            "update @llm-cache/sqlite"
        )
      }
      return version
    }
    if (version !== 0 || read("select count(*) from sqlite_schema") !== 0) {
      throw new Refusal("this is a database of another program: give a file of its own")
    }
    return 0
  } finally {
    if (!isWithin) db.exec("rollback")
  }
}

// Several processes may do so at once.
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
