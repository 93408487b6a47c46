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
  // The names of files tell whose they are: `<host>_<process>_<log>_<number>.json`.
  readonly #host = encodeURIComponent(Os.hostname()).replaceAll("_", "%5F")
  readonly #log = crypto.randomUUID()
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
    for (const name of list(this.#folder)) {
      if (!this.#isLeft(name, now)) continue
      const mine = this.#nextName()
      try {
        // One of those who try succeeds.
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
    this.#unfinished = false
  }

  #nextName(): string {
    return `${this.#host}_${process.pid}_${this.#log}_${this.#begun++}.json`
  }

  #remove(name: string): void {
    ifPresent(() => Fs.unlinkSync(Path.join(this.#folder, name)))
  }

  #isLeft(name: string, now: number): boolean {
    const [, host, pid, log] = /^([^_]+)_(\d+)_([^_]+)_\d+\.json$/.exec(name) ?? []
    if (host === undefined) return false
    if (log === this.#log) return true
    if (host === this.#host && !isRunning(Number(pid))) return true
    const stats = Fs.statSync(Path.join(this.#folder, name), { throwIfNoEntry: false })
    return stats !== undefined && now - stats.mtimeMs > patience
  }
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

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH"
  }
}
