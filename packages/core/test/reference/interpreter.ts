// What the library means, for one fiber and without Effect: plain data, as short and as evident as it can be.

/** A nesting of combinators over a provider, the outermost first. */
export type Combinator = "Independent" | "Repeatable" | "Persistent"

/** Samples of a prompt, taken in a fork (`""`: none, `"0/1"`: fork 1 in fork 0) at a level of the stack. */
export interface Take {
  readonly prompt: string
  readonly path: string
  readonly n: number
  /** By `sampleMany`, which buys as many as are missing; otherwise by `sample`, which buys `batch` at a time. */
  readonly many: boolean
  readonly batch: number
  /** Modulo the height of the stack, 0 is the outermost. */
  readonly level: number
}

export type Step =
  | { readonly do: "take"; readonly take: Take }
  /** Takes at once, each in a fork of its own. */
  | { readonly do: "atOnce"; readonly takes: ReadonlyArray<Take> }
  /** The next requests of a fork fail. */
  | { readonly do: "fail"; readonly path: string; readonly requests: number }
  /** Independent and Repeatable forget. */
  | { readonly do: "restart" }
  /** A restart, before which a person deletes a sample of a Persistent (modulo their number, 0 is the outermost). */
  | {
    readonly do: "delete"
    readonly prompt: string
    readonly path: string
    readonly position: number
    readonly store: number
  }
  /** A take that is interrupted while its first request is under way. The request comes back later. */
  | { readonly do: "interrupt"; readonly take: Take }

export interface Program {
  readonly stack: ReadonlyArray<Combinator>
  readonly maxBatch: number
  /** How many samples more (or fewer) than it is asked for a provider brings, at least one. */
  readonly extra: number
  readonly steps: ReadonlyArray<Step>
}

export type Result = ReadonlyArray<string> | "failed" | "interrupted"

export interface Outcome {
  /** Of every step: what its takes gave, and the requests it sent as `key n`. */
  readonly steps: ReadonlyArray<{ readonly results: ReadonlyArray<Result>; readonly requests: ReadonlyArray<string> }>
  /** What every Persistent holds, the outermost first: `position text origins`, by key. */
  readonly stores: ReadonlyArray<Record<string, ReadonlyArray<string>>>
}

export const keyOf = (prompt: string, path: string) => `${prompt}@${path}`
export const brought = (n: number, extra: number) => Math.max(1, n + extra)

interface Sample {
  readonly text: string
  /** Where Independents on its way had it, the outermost first. */
  readonly origins: ReadonlyArray<number>
}
type Samples = Map<number, Sample>

/** Every sample is a different text, and tells which one of its key it is. */
class Provider {
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
}

/** Repeatable and Persistent: a sequence per key. What it lacks comes from its source. */
class Memory {
  readonly #source: Provider | Model
  readonly #isPersistent: boolean
  readonly #samples: Map<string, Samples>
  readonly #told = new Set<string>()
  /** Up to where the last purchase was to fill the sequence of its key, if it brought too little. */
  #owed: { readonly key: string; readonly end: number } | undefined

  constructor(source: Provider | Model, store?: Map<string, Samples>) {
    this.#source = source
    this.#isPersistent = store !== undefined
    this.#samples = store ?? new Map()
  }

  draw(key: string, position: number, batch: number): Sample | undefined {
    this.#tell(key)
    const samples = ofKey(this.#samples, key, () => new Map())
    if (!samples.has(position)) {
      if (this.#source instanceof Provider) {
        this.#buy(this.#source, key, samples, position, batch)
      } else {
        const drawn = this.#source.draw(key, position, batch)
        if (drawn !== undefined) samples.set(position, drawn)
      }
    }
    return samples.get(position)
  }

  /** Asks for what is missing of the next `batch` positions, or for the rest of the last purchase. Keeps all it gets. */
  #buy(provider: Provider, key: string, samples: Samples, position: number, batch: number): void {
    if (this.#owed?.key !== key || this.#owed.end <= position) this.#owed = undefined
    const end = Math.min(position + batch, this.#owed?.end ?? Infinity)
    let missing = 0
    for (let i = position; i < end; i++) if (!samples.has(i)) missing++
    const n = provider.requestSize(missing)
    provider.send(key, n)
    const bought = provider.answer(key, n)
    if (bought === undefined) return
    let [next, last] = [position, position]
    for (let i = 0; i < Math.max(n, bought.length); i++, next++) {
      while (samples.has(next)) next++
      last = next
      if (i < bought.length) samples.set(next, bought[i]!)
    }
    this.#owed = bought.length < n ? { key, end: last + 1 } : undefined
  }

  /** Before anything else is drawn of a key, the source learns what is recorded here of it. */
  #tell(key: string): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.#source.restore(key, this.#samples.get(key) ?? new Map())
  }

  /** Takes note of what is recorded above. A Repeatable, which forgot it, has it again. */
  restore(key: string, recorded: Samples): void {
    this.#tell(key)
    if (!this.#isPersistent) {
      const samples = ofKey(this.#samples, key, () => new Map())
      for (const [position, sample] of recorded) if (!samples.has(position)) samples.set(position, sample)
    }
    this.#source.restore(key, recorded)
  }
}

/** Independent: a reader per key. Every draw takes the first position of the sequence beneath that no one has. */
class Reader {
  readonly #source: Model
  readonly #isOverProvider: boolean
  readonly #taken = new Map<string, ReadonlySet<number>>()

  /** A provider's draws are a sequence that is bought as it is read. No one needs to know where they were in it. */
  constructor(source: Provider | Model) {
    this.#isOverProvider = source instanceof Provider
    this.#source = source instanceof Provider ? new Memory(source) : source
  }

  draw(key: string, _: number, batch: number): Sample | undefined {
    const taken = this.taken(key)
    let position = 0
    while (taken.has(position)) position++
    const drawn = this.#source.draw(key, position, batch)
    if (drawn === undefined) return undefined
    this.setTaken(key, new Set([...taken, position]))
    return { text: drawn.text, origins: this.#isOverProvider ? [] : [position, ...drawn.origins] }
  }

  taken(key: string): ReadonlySet<number> {
    return this.#taken.get(key) ?? new Set()
  }

  setTaken(key: string, taken: ReadonlySet<number>): void {
    this.#taken.set(key, taken)
  }

  /** What is recorded above was taken from here. */
  restore(key: string, recorded: Samples): void {
    const beneath: Samples = new Map()
    for (const { origins: [position, ...origins], text } of recorded.values()) {
      if (position !== undefined) beneath.set(position, { text, origins })
    }
    this.setTaken(key, new Set([...this.taken(key), ...beneath.keys()]))
    this.#source.restore(key, beneath)
  }
}

type Model = Memory | Reader

/** The models of a stack, the outermost first and the provider last. Independent over Independent is Independent. */
const build = (stack: Program["stack"], provider: Provider, stores: ReadonlyArray<Map<string, Samples>>) => {
  const models: Array<Provider | Model> = [provider]
  for (const [height, combinator] of stack.toReversed().entries()) {
    const source = models[0]!
    models.unshift(
      combinator === "Repeatable"
        ? new Memory(source)
        : combinator === "Persistent"
        ? new Memory(source, stores[stack.length - 1 - height])
        : source instanceof Reader
        ? source
        : new Reader(source)
    )
  }
  return models
}

/** What a take gives. One that fails or is interrupted gives back to a reader what no one got. */
const take = (
  models: ReadonlyArray<Provider | Model>,
  provider: Provider,
  { batch, level, many, n, path, prompt }: Take,
  isInterrupted: boolean
): Result => {
  const key = keyOf(prompt, path)
  const model = models[level % models.length]!
  const texts: Array<string> = []
  const atFirst = model instanceof Reader ? model.taken(key) : undefined
  let owed = 0
  while (texts.length < n) {
    const before = model instanceof Reader ? model.taken(key) : undefined
    const sent = provider.requests.length
    const wanted = many ? n - texts.length : batch
    let drawn: ReadonlyArray<Sample> | undefined
    if (model instanceof Provider) {
      const size = owed > 0 ? owed : provider.requestSize(wanted)
      provider.send(key, size)
      // no one waits for it any more, and there is nothing to keep it in
      if (isInterrupted) return "interrupted"
      drawn = provider.answer(key, size)
      if (!many) owed = Math.max(0, size - (drawn?.length ?? 0))
    } else {
      const one = model.draw(key, texts.length, wanted)
      drawn = one && [one]
    }
    const isCut = isInterrupted && provider.requests.length > sent
    if (isCut || drawn === undefined) {
      if (model instanceof Reader) model.setTaken(key, (many ? atFirst : before)!)
      return isCut ? "interrupted" : "failed"
    }
    texts.push(...drawn.map(({ text }) => text))
  }
  return texts.slice(0, n)
}

export const interpret = (program: Program): Outcome => {
  const provider = new Provider(program)
  const stores = program.stack.map(() => new Map<string, Samples>())
  const persistent = stores.filter((_, i) => program.stack[i] === "Persistent")
  let models = build(program.stack, provider, stores)
  const run = (step: Step): ReadonlyArray<Result> => {
    switch (step.do) {
      case "take":
        return [take(models, provider, step.take, false)]
      case "atOnce":
        return forked(program, step.takes).map((one) => take(models, provider, one, false))
      case "fail":
        provider.failures.set(step.path, step.requests)
        return []
      case "restart":
        models = build(program.stack, provider, stores)
        return []
      case "delete":
        persistent[step.store % persistent.length]?.get(keyOf(step.prompt, step.path))?.delete(step.position)
        models = build(program.stack, provider, stores)
        return []
      case "interrupt":
        return [take(models, provider, step.take, true)]
    }
  }
  const steps = program.steps.map((step) => {
    provider.requests.length = 0
    const results = run(step)
    return { results, requests: byKey(provider.requests) }
  })
  return {
    steps,
    stores: persistent.map((store) => show(store))
  }
}

/**
 * The takes of a step that run at once, each in the fork of its index. Where requests bring too little, each asks for
 * one: whether a purchase is still the last one, whose rest is asked for, depends on the others.
 */
export const forked = ({ extra }: Program, takes: ReadonlyArray<Take>): ReadonlyArray<Take> =>
  takes.map((one, i) => ({
    ...one,
    path: one.path === "" ? `${i}` : `${one.path}/${i}`,
    ...(extra < 0 ? { many: false, batch: 1 } : undefined)
  }))

/** Requests in the order they were sent in for each key: forks at once send theirs in any order. */
export const byKey = (requests: ReadonlyArray<string>): ReadonlyArray<string> =>
  requests.toSorted((a, b) => a.split(" ")[0]!.localeCompare(b.split(" ")[0]!))

/** The samples of a store in a form that compares. */
export const show = (store: ReadonlyMap<string, ReadonlyMap<number, Sample>>): Record<string, ReadonlyArray<string>> =>
  Object.fromEntries(
    [...store].filter(([, samples]) => samples.size > 0).map(([key, samples]) => [
      key,
      [...samples].sort(([a], [b]) => a - b).map(([i, { origins, text }]) => `${i}: ${text} [${origins.join()}]`)
    ])
  )

const ofKey = <V>(map: Map<string, V>, key: string, make: () => V): V => {
  if (!map.has(key)) map.set(key, make())
  return map.get(key)!
}
