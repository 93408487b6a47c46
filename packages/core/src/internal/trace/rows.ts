import type { Outcome } from "../../TraceIndex.ts"
import { Numbers } from "./numbers.ts"

export const outcomes: ReadonlyArray<Outcome> = [
  "replayed",
  "reread",
  "bought",
  "requested",
  "missed",
  "failed",
  "bypassed"
]

const racing = 0x80
const above = 0x40
const flags = racing | above
const bypassed = outcomes.indexOf("bypassed")

interface Row {
  /** Of its line in the file. */
  readonly offset: number
  readonly key: number
  readonly position: number
  readonly outcome: Outcome
  readonly isRacing: boolean
  /** Whether an attempt had it in memory: its position is one of the attempt. */
  readonly isAbove: boolean
  /** The number of the `Independent` that drew it. */
  readonly independent: number | undefined
}

/** The draws of a run, in at most 17 bytes each. */
export class DrawRows {
  readonly #offsets = new Numbers()
  readonly #keys = new Numbers()
  readonly #positions = new Numbers()
  /** How many rows before it the last one of the key is, 0 if there is none. */
  readonly #before = new Numbers()
  /** By key: one more than its last row. */
  readonly #last = new Numbers()
  /** By row, of an `Independent`. */
  readonly #independents = new Numbers()
  #outcomes = new Uint8Array(64)
  #bypassed = 0

  get length(): number {
    return this.#offsets.length
  }

  push({ independent, isAbove, isRacing, key, offset, outcome, position }: Row): number {
    const row = this.length
    this.#offsets.push(offset)
    this.#keys.push(key)
    this.#positions.push(position)
    this.#independents.push(independent ?? 0)
    const last = this.#last.get(key)
    this.#before.push(last === 0 ? 0 : row + 1 - last)
    this.#last.set(key, row + 1)
    if (row >= this.#outcomes.length) {
      const longer = new Uint8Array(this.#outcomes.length * 2)
      longer.set(this.#outcomes)
      this.#outcomes = longer
    }
    this.#outcomes[row] = outcomes.indexOf(outcome) | (isRacing ? racing : 0) | (isAbove ? above : 0)
    if (outcome === "bypassed") this.#bypassed++
    return row
  }

  become(row: number, outcome: Outcome): void {
    this.#outcomes[row] = outcomes.indexOf(outcome) | (this.#outcomes[row]! & flags)
  }

  offsetOf(row: number): number {
    return this.#offsets.get(row)
  }

  keyOf(row: number): number {
    return this.#keys.get(row)
  }

  positionOf(row: number): number {
    return this.#positions.get(row)
  }

  before(row: number): number | undefined {
    const distance = this.#before.get(row)
    return distance === 0 ? undefined : row - distance
  }

  outcomeNumber(row: number): number {
    return this.#outcomes[row]! & ~flags
  }

  outcomeOf(row: number): Outcome {
    return outcomes[this.outcomeNumber(row)]!
  }

  /** The last draw of a key. */
  lastOf(key: number): number | undefined {
    const last = this.#last.get(key)
    return last === 0 ? undefined : last - 1
  }

  independentOf(row: number): number | undefined {
    return this.#independents.get(row) || undefined
  }

  isAbove(row: number): boolean {
    return (this.#outcomes[row]! & above) > 0
  }

  readonly isRacing = (row: number): boolean => (this.#outcomes[row]! & racing) > 0

  /** Which draw of a cache it is, from 1. */
  numberOf(row: number): number | undefined {
    if (this.outcomeNumber(row) === bypassed) return undefined
    if (this.#bypassed === 0) return row + 1
    let number = 0
    for (let i = 0; i <= row; i++) if (this.outcomeNumber(i) !== bypassed) number++
    return number
  }
}
