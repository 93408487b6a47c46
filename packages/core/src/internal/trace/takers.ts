import type { Taken } from "../../TraceIndex.ts"
import { Numbers } from "./numbers.ts"
import type { DrawRows } from "./rows.ts"

/** The sample of a line. */
interface Sample {
  readonly position: number
  readonly request: string | undefined
  readonly index: number | undefined
}

/** The most names of places that are told apart. */
const mostPlaces = 100_000

/** The most samples with a known position, for the attempt that takes one. */
const mostRecent = 4096

/** The kind of a note, in its lowest two bits: an attempt or a place took a sample, or a client did not get it. */
const kinds = { reader: 0, place: 1, returned: 2 } as const

/** The readers of a run and their samples: attempts, by the numbers of their `Repeatable`, and the places of a server's clients. */
export class Takers {
  readonly #who = new Numbers()
  readonly #positions = new Numbers()
  /** One more than the row of the draw. */
  readonly #rows = new Numbers()
  /** One more than the note of the key before it. */
  readonly #before = new Numbers()
  /** By key: one more than its last note. */
  readonly #last = new Numbers()
  readonly #places: Array<string> = []
  readonly #placeNumbers = new Map<string, number>()
  /** The positions of the last samples in their cache, and the rows of their draws. */
  readonly #recent = new Map<string, { readonly position: number; readonly row: number | undefined }>()

  /** By key: how many draws of attempts wait for a cache. */
  readonly #waiting = new Numbers()

  /** An attempt asks its cache. */
  await(key: number): void {
    this.#waiting.add(key, 1)
  }

  /** A cache tells of a sample. */
  remember(key: number, { index, position, request }: Sample, row: number | undefined): void {
    if (request === undefined || this.#waiting.get(key) === 0) return
    const name = `${request} ${index}`
    this.#recent.delete(name)
    this.#recent.set(name, { position, row })
    if (this.#recent.size > mostRecent) this.#recent.delete(this.#recent.keys().next().value!)
  }

  /** An attempt takes a sample that its cache has told of. */
  take(key: number, reader: number, { index, position, request }: Sample, lastRow: number | undefined): void {
    this.#waiting.set(key, Math.max(0, this.#waiting.get(key) - 1))
    const sample = request === undefined ? undefined : this.#recent.get(`${request} ${index}`)
    this.#push(key, reader << 2 | kinds.reader, sample?.position ?? position, sample?.row ?? lastRow)
  }

  give(key: number, position: number, place: string, isReturned: boolean, lastRow: number | undefined): void {
    let number = this.#placeNumbers.get(place)
    if (number === undefined) {
      if (this.#places.length >= mostPlaces) return
      this.#placeNumbers.set(place, number = this.#places.push(place) - 1)
    }
    this.#push(key, number << 2 | (isReturned ? kinds.returned : kinds.place), position, lastRow)
  }

  /** The samples of a key at some positions that were taken. With attempts or clients, draws outside of them are left out. */
  of(key: number, from: number, count: number, rows: DrawRows): ReadonlyArray<Omit<Taken, "path">> {
    const isMeant = (position: number) => position >= from && position < from + count
    const taken: Array<Omit<Taken, "path">> = []
    const returned = new Map<string, number>()
    const named = new Set<number>()
    let hasPlaces = false
    for (let note = this.#last.get(key); note > 0; note = this.#before.get(note - 1)) {
      const position = this.#positions.get(note - 1)
      if (!isMeant(position)) continue
      const who = this.#who.get(note - 1)
      const [number, kind] = [who >>> 2, who & 3]
      // Notes come from the last one to the first.
      const name = `${number} ${position}`
      const returns = returned.get(name) ?? 0
      if (kind === kinds.returned) returned.set(name, returns + 1)
      else if (kind === kinds.place && returns > 0) returned.set(name, returns - 1)
      if (kind === kinds.returned || (kind === kinds.place && returns > 0)) continue
      const row = this.#rows.get(note - 1) - 1
      if (kind === kinds.place) hasPlaces = true
      else named.add(row)
      taken.push({ position, reader: kind === kinds.reader ? number : this.#places[number]!, ...told(rows, row) })
    }
    if (!hasPlaces) {
      for (let row = rows.lastOf(key); row !== undefined; row = rows.before(row)) {
        const position = rows.positionOf(row)
        if (!isMeant(position) || rows.isAbove(row) || named.has(row)) continue
        taken.push({ position, reader: undefined, ...told(rows, row) })
      }
    }
    return taken.toReversed().filter(({ reader }) => !hasPlaces || typeof reader === "string")
  }

  #push(key: number, who: number, position: number, row: number | undefined): void {
    this.#who.push(who)
    this.#positions.push(position)
    this.#rows.push(row === undefined ? 0 : row + 1)
    this.#before.push(this.#last.get(key))
    this.#last.set(key, this.#who.length)
  }
}

const told = (rows: DrawRows, row: number): Pick<Taken, "independent" | "outcome" | "isRacing"> =>
  row < 0
    ? { independent: undefined, outcome: "replayed", isRacing: false }
    : { independent: rows.independentOf(row), outcome: rows.outcomeOf(row), isRacing: rows.isRacing(row) }
