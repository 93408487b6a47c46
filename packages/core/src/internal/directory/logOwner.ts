import { Fs, Os } from "../node.ts"

/** The log that wrote a file, and its process. The file's name has them. */
export interface LogOwner {
  readonly host: string
  readonly pid: number
  /** When the process started, empty if the system does not tell: the number of an ended process is used again. */
  readonly birth: string
  readonly log: string
}

/** A new log of this process. */
export const newLogOwner = (): LogOwner => ({
  host: host(),
  pid: process.pid,
  birth: birthOf(process.pid) ?? "",
  log: crypto.randomUUID()
})

/** The name of a file of a log. */
export const nameOfFile = ({ birth, host, log, pid }: LogOwner, number: number): string =>
  `${host}_${pid}-${birth}_${log}_${number}.jsonl`

/** The log that wrote a file of this name, `undefined` if logs write no such name. */
export const ownerOfFile = (name: string): LogOwner | undefined => {
  const [, host, pid, birth, log] = /^([^_]+)_(\d+)-(\d*)_([^_]+)_\d+\.jsonl?$/.exec(name) ?? []
  return host === undefined ? undefined : { host, pid: Number(pid), birth: birth!, log: log! }
}

/** The start of the system, `undefined` if the system does not tell. A file that is older may have lost power since. */
export const bootOfSystem = (): string | undefined =>
  attempt(() => Fs.readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim())

/** Whether a process has surely ended, as seen from the process of another log. */
export const hasEnded = ({ birth, host, pid }: LogOwner, observer: LogOwner): boolean =>
  host === observer.host && !isRunning(pid, birth)

// Processes can see each other if they share this. Containers with equal names have process numbers of their own.
const host = (): string => {
  const namespace = attempt(() => Fs.readlinkSync("/proc/self/ns/pid")) ?? ""
  return encodeURIComponent(`${Os.hostname()} ${namespace}`).replaceAll("_", "%5F")
}

const birthOf = (pid: number): string | undefined =>
  attempt(() => Fs.readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ")[19])

/** Whether a process runs. */
export const isRunning = (pid: number, birth: string): boolean => {
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
