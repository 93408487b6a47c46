import type { KeyReport } from "../../Audit.ts"
import type { Key } from "../../Key.ts"
import type { Drawn } from "../../Sample.ts"
import { responsePart } from "../model/responseIds.ts"
import { sampleName } from "../store/sampleName.ts"

/** Counts the samples of one key for one watched model. */
export class KeyCounter {
  readonly key: Key
  readonly #isRemembered: boolean
  /** The samples of each position, without those that came back. */
  readonly #handedOut = new Map<number, { times: number; fromCache: number; readonly name: string | undefined }>()
  #racing = 0
  /** The numbers of samples without a position. */
  readonly #numbers = new WeakMap<Drawn, number>()
  #next = 0
  /** For a caching model: the places of each position of the reader beneath it. */
  readonly #places = new Map<number, Set<number>>()
  /** For a caching model: the positions that each reader above got. */
  readonly #readers = new Map<object, Set<number>>()
  /** The request of each response part, and the ids of responses that came by another one too. */
  readonly #requests = new Map<string, string | undefined>()
  readonly #repeatedResponses = new Set<string>()

  constructor(key: Key, isRemembered: boolean) {
    this.key = key
    this.#isRemembered = isRemembered
  }

  handOut(drawn: Drawn, asked: number, isFromCache: boolean, reader: object | undefined): void {
    const position = this.#isRemembered ? asked : this.#positionOf(drawn)
    const held = this.#handedOut.get(position)
    if (held === undefined) {
      const name = this.#isRemembered ? undefined : sampleName(drawn)
      this.#handedOut.set(position, { times: 1, fromCache: isFromCache ? 1 : 0, name })
    } else {
      held.times++
      if (isFromCache) held.fromCache++
    }
    this.#noteResponse(drawn)
    if (this.#isRemembered && reader !== undefined) {
      const positions = this.#readers.get(reader)
      if (positions === undefined) this.#readers.set(reader, new Set([position]))
      else positions.add(position)
    }
    const origin = drawn.origins[0]
    if (!this.#isRemembered || origin === undefined) return
    const places = this.#places.get(origin)
    if (places === undefined) this.#places.set(origin, new Set([position]))
    else places.add(position)
  }

  takeBack(drawn: Drawn): void {
    const position = this.#positionOf(drawn)
    const held = this.#handedOut.get(position)
    if (held === undefined) return
    held.times--
    held.fromCache = Math.min(held.fromCache, held.times)
    if (held.times === 0) this.#handedOut.delete(position)
  }

  race(): void {
    this.#racing++
  }

  /** The names of the samples that an independent model handed out. */
  names(): ReadonlyArray<string> {
    return [...new Set(Array.from(this.#handedOut.values(), ({ name }) => name))].filter((name) => name !== undefined)
  }

  report(watch: string, isProviderWatched: boolean, isShared: (sample: string) => boolean): KeyReport {
    const { identity, path, prompt } = this.key
    const held = [...this.#handedOut.values()]
    const twice = this.#isRemembered
      ? [...this.#places].filter(([, places]) => places.size > 1)
      : [...this.#handedOut].filter(([, { times }]) => times > 1)
    return {
      watch,
      identity,
      prompt,
      path,
      handedOut: held.reduce((sum, { times }) => sum + times, 0),
      distinct: held.length,
      fromCache: isProviderWatched ? held.reduce((sum, { fromCache }) => sum + fromCache, 0) : undefined,
      handedOutTwice: twice.map(([position]) => position).sort((a, b) => a - b),
      sharedWithOthers: this.#sharedPositions(isShared).sort((a, b) => a - b),
      racing: this.#racing,
      repeatedResponses: [...this.#repeatedResponses]
    }
  }

  #sharedPositions(isShared: (sample: string) => boolean): Array<number> {
    if (!this.#isRemembered) {
      return [...this.#handedOut].flatMap(([position, { name }]) =>
        name !== undefined && isShared(name) ? [position] : []
      )
    }
    const readers = [...this.#readers.values()]
    return [...this.#handedOut.keys()].filter((position) => readers.filter((one) => one.has(position)).length > 1)
  }

  #noteResponse(drawn: Drawn): void {
    const part = responsePart(drawn)
    if (part === undefined) return
    const { request, responseId } = drawn.metadata
    if (!this.#requests.has(part)) this.#requests.set(part, request)
    else if (this.#requests.get(part) !== request) this.#repeatedResponses.add(responseId!)
  }

  #positionOf(drawn: Drawn): number {
    if (drawn.origins.length > 0) return drawn.origins[0]!
    let number = this.#numbers.get(drawn)
    if (number === undefined) this.#numbers.set(drawn, number = this.#next++)
    return number
  }
}
