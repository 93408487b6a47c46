/** The task of a process of the suite. */
export type Instruction = Recording | Inspection

/** Samples prompts, and prints the samples. */
export interface Recording {
  readonly _tag: "Recording"
  /** Names the process in its samples. */
  readonly name: string
  readonly seed: string
  readonly tasks: ReadonlyArray<Task>
  /** The time of a lease, in milliseconds. Without it, the process takes no leases. */
  readonly lease?: number | undefined
  /** Whether an answer has the requested number of samples, and neither less nor more. */
  readonly isExact?: boolean | undefined
  /** Whether requests wait until the process stops, and then fail. */
  readonly hangs?: boolean | undefined
  /** Whether a failed task starts again until it succeeds. */
  readonly retries?: boolean | undefined
}

/** Samples of one prompt. */
export interface Task {
  readonly prompt: string
  /** The number of samples. Without it, the task goes on until the process stops. */
  readonly n?: number | undefined
  readonly batch: number
  readonly how: "stream" | "many" | "independent"
}

/** Finishes the writes of killed processes for some prompts, and prints all stored samples. */
export interface Inspection {
  readonly _tag: "Inspection"
  readonly prompts: ReadonlyArray<string>
}

/** A line of its output. A head is the head of a sample, or says how the sample is broken. */
export type Line =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Asked"; readonly prompt: string }
  | { readonly _tag: "Answered"; readonly prompt: string; readonly request: string; readonly size: number }
  | Seen
  | Stored
  | { readonly _tag: "Lease"; readonly isOurs: boolean }
  | { readonly _tag: "Failed"; readonly error: string }

/** A sample that the process received. Its position is known if no other run shares the reader. */
export interface Seen {
  readonly _tag: "Seen"
  readonly prompt: string
  readonly position?: number | undefined
  readonly head: string
}

/** A stored sample. */
export interface Stored {
  readonly _tag: "Stored"
  readonly prompt: string
  readonly position: number
  readonly head: string
}

/** Names a sample: its request, its index of how many, and its prompt. */
export const headOf = (request: string, index: number, size: number, prompt: string): string =>
  `${request} ${index}/${size} ${prompt}`

/** A text of several kilobytes that shows whether it is whole. Some of its characters take several bytes. */
export const textOf = (head: string): string =>
  `${head}\r\n${"0123456789 caf\u00E9 \u{1F600}\n".repeat(200)}end of ${head}`

/** The head of a text, or its fault. */
export const readHead = (text: string): string => {
  const head = text.slice(0, Math.max(0, text.indexOf("\r\n")))
  return text === textOf(head) ? head : `TORN, ${text.length} characters: ${text.slice(0, 80)}`
}
