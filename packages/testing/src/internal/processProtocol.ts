/** What a process of the suite is told to do. */
export type Instruction = Recording | Inspection

/** Samples prompts, and prints what it gets. */
export interface Recording {
  readonly _tag: "Recording"
  /** Tells who bought a sample. */
  readonly name: string
  readonly seed: string
  readonly tasks: ReadonlyArray<Task>
  /** How long a lease lasts, in milliseconds, where it is to take leases. */
  readonly lease?: number | undefined
  /** Whether requests bring what they are asked for, and neither less nor more. */
  readonly isExact?: boolean | undefined
  /** Whether requests are not answered before the process is told to stop, and fail then. */
  readonly hangs?: boolean | undefined
  /** Whether a task that fails is begun again until it does not. */
  readonly retries?: boolean | undefined
}

/** Samples of one prompt. */
export interface Task {
  readonly prompt: string
  /** Until the process is told to stop where it is absent. */
  readonly n?: number | undefined
  readonly batch: number
  readonly how: "stream" | "many" | "independent"
}

/** Finishes what was left half stored of some prompts, and prints all that is stored. */
export interface Inspection {
  readonly _tag: "Inspection"
  readonly prompts: ReadonlyArray<string>
}

/** What it prints, one line each. A head is that of a sample, or says what is there instead. */
export type Line =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Asked"; readonly prompt: string }
  | { readonly _tag: "Bought"; readonly prompt: string; readonly purchase: string; readonly size: number }
  | Seen
  | Stored
  | { readonly _tag: "Lease"; readonly isOurs: boolean }
  | { readonly _tag: "Failed"; readonly error: string }

/** A sample that was handed out, at its position in the run where the run is the only one of its reader. */
export interface Seen {
  readonly _tag: "Seen"
  readonly prompt: string
  readonly position?: number | undefined
  readonly head: string
}

/** A sample that is in the store. */
export interface Stored {
  readonly _tag: "Stored"
  readonly prompt: string
  readonly position: number
  readonly head: string
}

/** Names the sample of a purchase: who bought it, which of how many it is, and what for. */
export const headOf = (purchase: string, index: number, size: number, prompt: string): string =>
  `${purchase} ${index}/${size} ${prompt}`

/** A text that shows whether it is whole: several kilobytes, some of them of characters that have more than one. */
export const textOf = (head: string): string =>
  `${head}\r\n${"0123456789 caf\u00E9 \u{1F600}\n".repeat(200)}end of ${head}`

/** The head of a text, or what is wrong with it. */
export const readHead = (text: string): string => {
  const head = text.slice(0, Math.max(0, text.indexOf("\r\n")))
  return text === textOf(head) ? head : `TORN, ${text.length} characters: ${text.slice(0, 80)}`
}
