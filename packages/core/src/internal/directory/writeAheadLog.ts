import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Entry } from "../../Sample.ts"
import { purchasesFolder } from "./fileNames.ts"
import { ifPresent, isMissing, list, writeNew } from "./files.ts"

/** After this time, in milliseconds, a purchase is taken over also from a process that cannot be seen to have ended. */
const patience = 60_000

/** The samples of one purchase, and the folder below the root that they are bound for. */
export interface Purchase {
  readonly id: string
  readonly folder: string
  readonly entries: ReadonlyArray<Entry>
  readonly ifTaken: "append" | "drop"
}

/** Stores the samples of a purchase as long as it is ours, and throws where it cannot. */
type Place = (purchase: Purchase, isTakenOver: boolean, isOurs: () => boolean) => ReadonlyArray<number | undefined>

/**
 * The write-ahead log of purchases of several samples: one file each, written before the first sample gets its own file
 * and removed behind the last. What a killed process left there is finished by the next one that writes to the root.
 */
export class PurchaseLog {
  readonly #folder: string
  readonly #place: Place
  // The names of files tell whose they are: `<host>_<process>-<its birth>_<log>_<number>.json`.
  #self: Owner | undefined
  #begun = 0
  /** Whether a purchase was seen that is not finished, and the state of the folder in which none else was. */
  #unfinished = false
  #seen = 0

  constructor(root: string, place: Place) {
    this.#folder = Path.join(root, purchasesFolder)
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
      const positions = this.#place(purchase, false, () => this.#has(name))
      this.#remove(name)
      return positions
    } catch {
      // `recover` meets the same fault and throws it, or finishes the purchase.
      this.#unfinished = true
      return purchase.entries.map(() => undefined)
    }
  }

  /**
   * Finishes what this log, and logs whose process has ended, left unfinished. Throws where that is not possible for
   * what is bound for `folder`.
   */
  recover(now: number, folder: string): void {
    const changed = Fs.statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (changed === this.#seen && !this.#unfinished) return
    let isAnyLeft = false
    let failure: { readonly cause: unknown } | undefined
    for (const name of list(this.#folder)) {
      const owner = ownerOf(name)
      if (owner === undefined) continue
      const taken = this.#isLeft(name, owner, now) ? this.#takeOver(name, now) : undefined
      if (taken === undefined) {
        isAnyLeft = true
        continue
      }
      try {
        this.#place(taken.purchase, true, () => this.#has(taken.name))
        this.#remove(taken.name)
      } catch (cause) {
        isAnyLeft = true
        if (taken.purchase.folder === folder) failure = { cause }
      }
    }
    this.#seen = changed
    this.#unfinished = isAnyLeft
    if (failure !== undefined) throw failure.cause
  }

  #takeOver(name: string, now: number): { readonly name: string; readonly purchase: Purchase } | undefined {
    const mine = this.#nextName()
    const content = ifPresent(() => {
      // One of those who try succeeds, and has as long as any other.
      Fs.utimesSync(Path.join(this.#folder, name), now / 1000, now / 1000)
      Fs.renameSync(Path.join(this.#folder, name), Path.join(this.#folder, mine))
      return Fs.readFileSync(Path.join(this.#folder, mine), "utf8")
    })
    if (content === undefined) return undefined
    const purchase = decode(content)
    if (purchase !== undefined) return { name: mine, purchase }
    // kept for a person to look at
    ifPresent(() => Fs.renameSync(Path.join(this.#folder, mine), Path.join(this.#folder, `${mine}.damaged`)))
    return undefined
  }

  #has(name: string): boolean {
    return Fs.existsSync(Path.join(this.#folder, name))
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
      folder.split(/[\\/]/).every((segment) => segment !== "" && segment !== "." && segment !== "..") &&
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
