// The models as plain data: what each holds, what it asks its source for, and what it does with what that gives.
import type { Program } from "./interpreter.ts"

export const keyOf = (prompt: string, path: string) => `${prompt}@${path}`
export const brought = (n: number, extra: number) => Math.max(1, n + extra)

export interface Sample {
  readonly text: string
  /** Where Independents on its way had it, the outermost first. */
  readonly origins: ReadonlyArray<number>
}
export type Samples = Map<number, Sample>

/** Every sample is a different text, and tells which one of its key it is. */
export class Provider {
  readonly requests: Array<string> = []
  readonly failures = new Map<string, number>()
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
    return Array.from({ length: count }, (_, i) => ({ text: `${key} #${sold + i}`, origins: [] }))
  }

  restore(): void {}
  attach(): void {}
}

/** Repeatable and Persistent: a sequence per key. What it lacks comes from its source. */
export class Memory {
  readonly source: Provider | Model
  readonly #isPersistent: boolean
  readonly #samples: Map<string, Samples>
  readonly #told = new Set<string>()
  readonly #recorders: Array<Memory> = []
  /** The positions that what is under way is to fill. */
  readonly #ordered = new Map<string, Set<number>>()
  /** Up to where the last purchase was to fill the sequence of a key, if it brought too little. */
  readonly #owed = new Map<string, number>()

  /** The positions of a key below this are for others than who brings more than was asked for. */
  readonly #floor: (key: string) => number

  constructor(source: Provider | Model, store?: Map<string, Samples>, floor: (key: string) => number = () => 0) {
    this.#floor = floor
    this.source = source
    this.#isPersistent = store !== undefined
    this.#samples = store ?? new Map()
    if (this.#isPersistent) this.source.attach(this)
  }

  /** Readers, and memories that forget, ask who records above them before they hand out anything. */
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
   * What a missing position asks its source for. Of a provider: what is missing of the next `batch` positions, or the
   * rest of the last purchase; of that as much as goes into a request. What is being bought is not missing.
   */
  order(key: string, position: number, batch: number) {
    const positions = [position]
    const ordered = ofKey(this.#ordered, key, () => new Set())
    let n = batch
    if (this.source instanceof Provider) {
      const isTaken = (i: number) => this.get(key, i) !== undefined || ordered.has(i)
      const owed = (this.#owed.get(key) ?? 0) - position
      const start = Math.max(position + 1, this.#floor(key))
      const end = start - 1 + (owed > 0 ? Math.min(owed, batch) : batch)
      let missing = 1
      for (let i = start; i < end; i++) if (!isTaken(i)) missing++
      n = this.source.requestSize(missing)
      for (let i = start; positions.length < n; i++) if (!isTaken(i)) positions.push(i)
    }
    return { n, positions, begin: () => positions.forEach((i) => ordered.add(i)) }
  }

  /**
   * Keeps all that came of an order; what is more than was ordered goes behind it. Where a position was filled from above
   * meanwhile, a new sample goes to the next that is free, and one that a memory beneath keeps is not needed.
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
    if (drawn !== undefined) this.#owed.set(key, drawn.length < positions.length ? positions.at(-1)! + 1 : 0)
  }

  #isKnown({ origins }: Sample, samples: Samples): boolean {
    return this.source instanceof Memory || (origins.length > 0 &&
      [...samples.values()].some((other) => other.origins.join() === origins.join()))
  }

  /** Before anything else is drawn of a key, the source learns what is recorded here of it. */
  tell(key: string): void {
    for (const recorder of this.#recorders) recorder.tell(key)
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.source.restore(key, this.#samples.get(key) ?? new Map())
  }

  /** Takes note of what is recorded above. A Repeatable, which forgot it, has it again. */
  restore(key: string, recorded: Samples): void {
    this.tell(key)
    if (!this.#isPersistent) {
      const samples = ofKey(this.#samples, key, () => new Map())
      for (const [position, sample] of recorded) if (!samples.has(position)) samples.set(position, sample)
    }
    this.source.restore(key, recorded)
  }
}

/** Independent: a reader per key. Every draw takes the first position of the sequence beneath that no one has. */
export class Reader {
  /** A provider's draws are a sequence that is bought as it is read. No one needs to know where they were in it. */
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

  /** What it hands out at a position that its source has. */
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

  /** The position behind all that are taken. */
  next(key: string): number {
    return Math.max(-1, ...this.taken(key)) + 1
  }

  /** What is recorded above was taken from here. */
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
