// What the library means, without Effect: plain data, as short and as evident as it can be. What one fiber does follows from
// the program. Where several draw in one fork, who gets what is up to the scheduler: there the interpreter follows what
// happened, refuses what may not happen, and goes on from where that led.
import { follow, type Trace } from "./follow.ts"
import { keyOf, Memory, type Model, Provider, Reader, type Sample, type Samples } from "./models.ts"

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
  /** Takes at once, whatever they draw from. */
  | {
    readonly do: "together"
    readonly fibers: ReadonlyArray<Fiber>
    /** How long its requests take, in turns of the scheduler. */
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
  /** A take that is interrupted while its first request is under way. The request comes back later. */
  | { readonly do: "interrupt"; readonly take: Take }

/** A take by a fiber of its own. */
export interface Fiber {
  readonly take: Take
  /** After how many turns of the scheduler it starts. */
  readonly start: number
  /** How many it waits after each sample. */
  readonly pace: number
  /** How many after its start it is interrupted, if it is not done by then. */
  readonly interrupted: number | undefined
}

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

/** What a program means, given what happened in its steps with several fibers. */
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
