// The meaning of the library without Effect, in plain data, short and evident. A single fiber follows from the program. The
// scheduler decides between several fibers in one fork: there the interpreter follows the trace, checks each draw, and
// goes on from the result.
import { follow, type Trace } from "./follow.ts"
import { keyOf, Memory, type Model, Provider, Reader, type Sample, type Samples } from "./models.ts"

/** A nesting of combinators over a provider, the outermost first. */
export type Combinator = "Independent" | "Repeatable" | "Persistent"

/** Samples of a prompt, taken in a fork (`""`: none, `"0/1"`: fork 1 in fork 0) at a level of the stack. */
export interface Take {
  readonly prompt: string
  readonly path: string
  readonly n: number
  /** By `sampleMany`, which requests all missing samples; otherwise by `sample`, which requests `batch` at a time. */
  readonly many: boolean
  readonly batch: number
  /** Modulo the height of the stack, 0 is the outermost. */
  readonly level: number
}

export type Step =
  | { readonly do: "take"; readonly take: Take }
  /** Takes at once, each in a fork of its own. */
  | { readonly do: "atOnce"; readonly takes: ReadonlyArray<Take> }
  /** Takes at once, of any forks and levels. */
  | {
    readonly do: "together"
    readonly fibers: ReadonlyArray<Fiber>
    /** The time of its requests, in turns of the scheduler. */
    readonly requests: ReadonlyArray<number>
  }
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
  /** A take with an interrupt during its first request. The answer comes later. */
  | { readonly do: "interrupt"; readonly take: Take }

/** A take by a fiber of its own. */
export interface Fiber {
  readonly take: Take
  /** The turns of the scheduler before it starts. */
  readonly start: number
  /** The turns that it waits after each sample. */
  readonly pace: number
  /** The turns from its start to its interrupt, if it is not done by then. */
  readonly interrupted: number | undefined
}

export interface Program {
  readonly stack: ReadonlyArray<Combinator>
  readonly maxBatch: number
  /** The difference between the samples of an answer (at least one) and its request. */
  readonly extra: number
  readonly steps: ReadonlyArray<Step>
}

export type Result = ReadonlyArray<string> | "failed" | "interrupted"

export interface Outcome {
  /** For every step: the results of its takes, and its requests as `key n`. */
  readonly steps: ReadonlyArray<{ readonly results: ReadonlyArray<Result>; readonly requests: ReadonlyArray<string> }>
  /** The samples of every Persistent, the outermost first: `position text origins`, by key. */
  readonly stores: ReadonlyArray<Record<string, ReadonlyArray<string>>>
}

/** The models of a stack, the outermost first and the provider last. Independent over Independent is Independent. */
export const build = (stack: Program["stack"], provider: Provider, stores: ReadonlyArray<Map<string, Samples>>) => {
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

/** The result of a take. A take that fails or is interrupted gives unused samples back to a reader. */
export const take = (
  models: ReadonlyArray<Provider | Model>,
  provider: Provider,
  { batch, level, many, n, path, prompt }: Take,
  isInterrupted: boolean
): Result => {
  const key = keyOf(prompt, path)
  const model = models[level % models.length]!
  const texts: Array<string> = []
  const atFirst = model instanceof Reader ? model.taken(key) : undefined
  // After an answer that brought too few samples, a stream asks for the rest, and not for a batch.
  let owed = 0
  while (texts.length < n) {
    const before = model instanceof Reader ? model.taken(key) : undefined
    const sent = provider.requests.length
    const wanted = many ? n - texts.length : owed || batch
    let drawn: ReadonlyArray<Sample> | undefined
    if (model instanceof Provider) {
      const size = provider.requestSize(wanted)
      provider.send(key, size)
      // Without a fiber or a memory, the answer is lost.
      if (isInterrupted) return "interrupted"
      drawn = provider.answer(key, size)
    } else {
      const one = model.draw(key, texts.length, wanted)
      drawn = one && [one]
    }
    const isCut = isInterrupted && provider.requests.length > sent
    if (isCut || drawn === undefined) {
      if (model instanceof Reader) model.setTaken(key, (many ? atFirst : before)!)
      return isCut ? "interrupted" : "failed"
    }
    if (provider.requests.length > sent) owed = provider.owed
    texts.push(...drawn.map(({ text }) => text))
  }
  return texts.slice(0, n)
}

/** The meaning of a program, given the traces of its steps with several fibers. */
export const interpret = (program: Program, traces: ReadonlyArray<Trace>): Outcome => {
  const unread = traces.values()
  const provider = new Provider(program)
  const stores = program.stack.map(() => new Map<string, Samples>())
  const persistent = stores.filter((_, i) => program.stack[i] === "Persistent")
  let models = build(program.stack, provider, stores)
  const run = (step: Step): ReadonlyArray<Result> => {
    switch (step.do) {
      case "take":
        return [take(models, provider, step.take, false)]
      case "atOnce":
        return forked(step.takes).map((one) => take(models, provider, one, false))
      case "together":
        return follow(models, provider, step.fibers, unread.next().value!)
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

/** The takes of a step that run at once, each in the fork of its index. */
export const forked = (takes: ReadonlyArray<Take>): ReadonlyArray<Take> =>
  takes.map((one, i) => ({ ...one, path: one.path === "" ? `${i}` : `${one.path}/${i}` }))

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
