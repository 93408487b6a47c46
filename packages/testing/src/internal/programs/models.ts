// The models as plain data: their samples, and their draws from the model beneath.
import type { Program } from "./interpreter.ts"

export const keyOf = (prompt: string, path: string) => `${prompt}@${path}`
export const brought = (n: number, extra: number) => Math.max(1, n + extra)

export interface Sample {
  readonly text: string
  /** Its positions beneath the Independents on its way, the outermost first. */
  readonly origins: ReadonlyArray<number>
}
export type Samples = Map<number, Sample>

/** Every sample is a different text, with its number in the sequence of its key. */
export class Provider {
  readonly requests: Array<string> = []
  readonly failures = new Map<string, number>()
  /** How many samples the last answer brought too few. */
  owed = 0
  readonly #sold = new Map<string, number>()
  readonly #program: Program

  constructor(program: Program) {
    this.#program = program
  }

  /** As few requests as it takes, evenly filled. */
  requestSize(missing: number): number {
    return Math.ceil(missing / Math.ceil(missing / this.#program.maxBatch))
  }

  send(key: string, n: number): void {
    this.requests.push(`${key} ${n}`)
  }

  sell(key: string, n: number): ReadonlyArray<Sample> | undefined {
    this.send(key, n)
    return this.answer(key, n)
  }

  answer(key: string, n: number): ReadonlyArray<Sample> | undefined {
    const path = key.split("@")[1]!
    const failures = this.failures.get(path) ?? 0
    this.failures.set(path, Math.max(0, failures - 1))
    if (failures > 0) return undefined
    const sold = this.#sold.get(key) ?? 0
    const count = brought(n, this.#program.extra)
    this.#sold.set(key, sold + count)
    this.owed = Math.max(0, n - count)
    return Array.from({ length: count }, (_, i) => ({ text: `${key} #${sold + i}`, origins: [] }))
  }

  restore(): void {}
  attach(): void {}
}

/** Repeatable and Persistent: a sequence per key. Missing samples come from the source. */
export class Memory {
  readonly source: Provider | Model
  readonly #isPersistent: boolean
  readonly #samples: Map<string, Samples>
  readonly #told = new Set<string>()
  readonly #recorders: Array<Memory> = []
  /** The positions that requests in flight fill. */
  readonly #ordered = new Map<string, Set<number>>()
  /** A surplus of a key goes to positions from here on. */
  readonly #floor: (key: string) => number

  constructor(source: Provider | Model, store?: Map<string, Samples>, floor: (key: string) => number = () => 0) {
    this.#floor = floor
    this.source = source
    this.#isPersistent = store !== undefined
    this.#samples = store ?? new Map()
    if (this.#isPersistent) this.source.attach(this)
  }

  /** Readers, and memories that forget, restore from the recorders above them before their first draw. */
  attach(recorder: Memory): void {
    if (!this.#isPersistent) this.#recorders.push(recorder)
    this.source.attach(recorder)
  }

  draw(key: string, position: number, batch: number): Sample | undefined {
    this.tell(key)
    if (this.get(key, position) === undefined) {
      const { n, positions } = this.order(key, position, batch)
      const drawn = this.source instanceof Provider
        ? this.source.sell(key, n)
        : asList(this.source.draw(key, position, n))
      this.receive(key, positions, drawn)
    }
    return this.get(key, position)
  }

  get(key: string, position: number): Sample | undefined {
    return this.#samples.get(key)?.get(position)
  }

  isOrdered(key: string, position: number): boolean {
    return this.#ordered.get(key)?.has(position) ?? false
  }

  get isQuiet(): boolean {
    return [...this.#ordered.values()].every(({ size }) => size === 0)
  }

  /**
   * The draw from the source for a missing position. A provider gets a request for the missing ones of the next `batch`
   * positions, up to its limit. A position of a request in flight is not missing.
   */
  order(key: string, position: number, batch: number) {
    const positions = [position]
    const ordered = ofKey(this.#ordered, key, () => new Set())
    let n = batch
    if (this.source instanceof Provider) {
      const isTaken = (i: number) => this.get(key, i) !== undefined || ordered.has(i)
      const start = Math.max(position + 1, this.#floor(key))
      const end = start - 1 + batch
      let missing = 1
      for (let i = start; i < end; i++) if (!isTaken(i)) missing++
      n = this.source.requestSize(missing)
      for (let i = start; positions.length < n; i++) if (!isTaken(i)) positions.push(i)
    }
    return { n, positions, begin: () => positions.forEach((i) => ordered.add(i)) }
  }

  /**
   * Keeps all samples of an answer, the surplus behind the order. If a model above filled a position meanwhile, a new sample
   * goes to the next free position, and a sample that a memory beneath keeps is dropped.
   */
  receive(key: string, ordered: ReadonlyArray<number>, drawn: ReadonlyArray<Sample> | undefined): void {
    const underWay = ofKey(this.#ordered, key, () => new Set())
    const samples = ofKey(this.#samples, key, () => new Map())
    const positions = [...ordered]
    for (let i = Math.max(ordered.at(-1)! + 1, this.#floor(key)); positions.length < (drawn?.length ?? 0); i++) {
      if (!underWay.has(i)) positions.push(i)
    }
    for (const [i, sample] of drawn?.entries() ?? []) {
      let position = positions[i]!
      if (samples.has(position) && this.#isKnown(sample, samples)) continue
      while (samples.has(position)) position++
      samples.set(position, sample)
    }
    for (const position of ordered) underWay.delete(position)
  }

  #isKnown({ origins }: Sample, samples: Samples): boolean {
    return this.source instanceof Memory || (origins.length > 0 &&
      [...samples.values()].some((other) => other.origins.join() === origins.join()))
  }

  /** Before its first draw of a key, the source gets the samples recorded here. */
  tell(key: string): void {
    for (const recorder of this.#recorders) recorder.tell(key)
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.source.restore(key, this.#samples.get(key) ?? new Map())
  }

  /** Gets the samples that a model above recorded. A Repeatable, which forgot them, has them again. */
  restore(key: string, recorded: Samples): void {
    this.tell(key)
    if (!this.#isPersistent) {
      const samples = ofKey(this.#samples, key, () => new Map())
      for (const [position, sample] of recorded) if (!samples.has(position)) samples.set(position, sample)
    }
    this.source.restore(key, recorded)
  }
}

/** Independent: a reader per key. Every draw takes the first free position of the sequence beneath. */
export class Reader {
  /** The answers of a provider, as a sequence. Its positions are of no use above. */
  readonly source: Memory
  readonly isOverProvider: boolean
  readonly #taken = new Map<string, ReadonlySet<number>>()
  readonly #recorders: Array<Memory> = []

  constructor(source: Provider | Memory) {
    this.isOverProvider = source instanceof Provider
    this.source = source instanceof Memory ? source : new Memory(source, undefined, (key) => this.next(key))
  }

  draw(key: string, _: number, batch: number): Sample | undefined {
    const position = this.take(key)
    if (this.source.draw(key, position, batch) !== undefined) return this.sampleAt(key, position)
    this.giveBack(key, position)
    return undefined
  }

  attach(recorder: Memory): void {
    this.#recorders.push(recorder)
    this.source.attach(recorder)
  }

  take(key: string): number {
    const taken = this.taken(key)
    let position = 0
    while (taken.has(position)) position++
    this.setTaken(key, new Set([...taken, position]))
    return position
  }

  giveBack(key: string, position: number): void {
    const taken = new Set(this.taken(key))
    taken.delete(position)
    this.setTaken(key, taken)
  }

  /** The sample that it hands out for a position of its source. */
  sampleAt(key: string, position: number): Sample | undefined {
    const sample = this.source.get(key, position)
    return sample && { text: sample.text, origins: this.isOverProvider ? [] : [position, ...sample.origins] }
  }

  taken(key: string): ReadonlySet<number> {
    if (!this.isOverProvider) { for (const recorder of this.#recorders) recorder.tell(key) }
    return this.#taken.get(key) ?? new Set()
  }

  setTaken(key: string, taken: ReadonlySet<number>): void {
    this.#taken.set(key, taken)
  }

  /** The position behind all taken ones. */
  next(key: string): number {
    return Math.max(-1, ...this.taken(key)) + 1
  }

  /** Samples that a model above recorded are taken here. */
  restore(key: string, recorded: Samples): void {
    const beneath: Samples = new Map()
    for (const { origins: [position, ...origins], text } of recorded.values()) {
      if (position !== undefined) beneath.set(position, { text, origins })
    }
    this.setTaken(key, new Set([...this.taken(key), ...beneath.keys()]))
    this.source.restore(key, beneath)
  }
}

export type Model = Memory | Reader

const ofKey = <V>(map: Map<string, V>, key: string, make: () => V): V => {
  if (!map.has(key)) map.set(key, make())
  return map.get(key)!
}

const asList = <A>(one: A | undefined): ReadonlyArray<A> | undefined => one === undefined ? undefined : [one]
