import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Entry } from "../Sample.ts"
import { ifPresent, isMissing, list, readIfPresent, writeNew } from "./files.ts"

/** After this time, in milliseconds, a purchase is taken over also from a process that cannot be seen to have ended. */
const patience = 60_000

/** The samples of one purchase, and the folder below the root that they are bound for. */
export interface Purchase {
  readonly id: string
  readonly folder: string
  readonly entries: ReadonlyArray<Entry>
  readonly ifTaken: "append" | "drop"
}

/**
 * The write-ahead log of purchases of several samples: one file each, written before the first sample gets its own file
 * and removed behind the last. What a killed process left there is finished by the next one that writes to the root.
 */
export class PurchaseLog {
  readonly #folder: string
  readonly #place: (purchase: Purchase, isTakenOver: boolean) => ReadonlyArray<number | undefined>
  // The names of files tell whose they are: `<host>_<process>-<its birth>_<log>_<number>.json`.
  #self: Owner | undefined
  #begun = 0
  /** Whether there may be purchases to finish. */
  #unfinished = true

  /** `place` stores samples that the log holds, and throws where it cannot store all. */
  constructor(root: string, place: (purchase: Purchase, isTakenOver: boolean) => ReadonlyArray<number | undefined>) {
    this.#folder = Path.join(root, ".purchases")
    this.#place = place
  }

  /** Stores the samples of a purchase. Once the log has them they are not lost: what gets no place now gets it later. */
  write(purchase: Purchase): ReadonlyArray<number | undefined> {
    const name = this.#nextName()
    const content = JSON.stringify(purchase)
    try {
      writeNew(this.#folder, name, content)
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      Fs.mkdirSync(this.#folder, { recursive: true })
      writeNew(this.#folder, name, content)
    }
    try {
      const positions = this.#place(purchase, false)
      this.#remove(name)
      return positions
    } catch {
      // `recover` meets the same fault and throws it, or finishes the purchase.
      this.#unfinished = true
      return purchase.entries.map(() => undefined)
    }
  }

  /** Finishes what this log, and logs whose process has ended, left unfinished. Throws where that is not possible. */
  recover(now: number): void {
    if (!this.#unfinished) return
    let isAnyUnfinished = false
    for (const name of list(this.#folder)) {
      const owner = ownerOf(name)
      if (owner === undefined) continue
      if (!this.#isLeft(name, owner, now)) {
        isAnyUnfinished = true
        continue
      }
      const mine = this.#nextName()
      try {
        // One of those who try succeeds, and has as long as any other.
        Fs.utimesSync(Path.join(this.#folder, name), now / 1000, now / 1000)
        Fs.renameSync(Path.join(this.#folder, name), Path.join(this.#folder, mine))
      } catch (cause) {
        if (isMissing(cause)) continue
        throw cause
      }
      const purchase = decode(readIfPresent(Path.join(this.#folder, mine)) ?? "")
      if (purchase === undefined) {
        // kept for a person to look at
        Fs.renameSync(Path.join(this.#folder, mine), Path.join(this.#folder, `${mine}.damaged`))
      } else {
        this.#place(purchase, true)
        this.#remove(mine)
      }
    }
    this.#unfinished = isAnyUnfinished
  }

  #nextName(): string {
    const { birth, host, log, pid } = this.#owner()
    return `${host}_${pid}-${birth}_${log}_${this.#begun++}.json`
  }

  #owner(): Owner {
    return this.#self ??= {
      host: host(),
      pid: process.pid,
      birth: birthOf(process.pid) ?? "",
      log: crypto.randomUUID()
    }
  }

  #remove(name: string): void {
    ifPresent(() => Fs.unlinkSync(Path.join(this.#folder, name)))
  }

  #isLeft(name: string, { birth, host, log, pid }: Owner, now: number): boolean {
    const self = this.#owner()
    if (log === self.log) return true
    if (host === self.host && !isRunning(pid, birth)) return true
    const stats = Fs.statSync(Path.join(this.#folder, name), { throwIfNoEntry: false })
    return stats !== undefined && now - stats.mtimeMs > patience
  }
}

interface Owner {
  readonly host: string
  readonly pid: number
  readonly birth: string
  readonly log: string
}

const ownerOf = (name: string): Owner | undefined => {
  const [, host, pid, birth, log] = /^([^_]+)_(\d+)-(\d*)_([^_]+)_\d+\.json$/.exec(name) ?? []
  return host === undefined ? undefined : { host, pid: Number(pid), birth: birth!, log: log! }
}

// A cache may come from someone else: nothing in it leads out of the root.
const decode = (content: string): Purchase | undefined => {
  try {
    const { entries, folder, id, ifTaken } = JSON.parse(content) as Purchase
    const isSound = typeof id === "string" && (ifTaken === "append" || ifTaken === "drop") &&
      folder.split(Path.sep).every((segment) => segment !== "" && segment !== "." && segment !== "..") &&
      entries.every(({ drawn: { metadata, origins, text }, position }) =>
        Number.isSafeInteger(position) && position >= 0 && typeof text === "string" &&
        typeof metadata === "object" && origins.every(Number.isSafeInteger)
      )
    return isSound ? { entries, folder, id, ifTaken } : undefined
  } catch {
    return undefined
  }
}

// Processes see one another where they have this in common. Containers of one name have process numbers of their own.
const host = (): string => {
  const namespace = attempt(() => Fs.readlinkSync("/proc/self/ns/pid")) ?? ""
  return encodeURIComponent(`${Os.hostname()} ${namespace}`).replaceAll("_", "%5F")
}

// When a process started, where the system tells: the number of one that has ended is soon another's.
const birthOf = (pid: number): string | undefined =>
  attempt(() => Fs.readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ")[19])

const isRunning = (pid: number, birth: string): boolean => {
  if (birth !== "") return birthOf(pid) === birth
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

const attempt = <A>(evaluate: () => A): A | undefined => {
  try {
    return evaluate()
  } catch {
    return undefined
  }
}
