// Follows several fibers that draw in one fork. The scheduler decides the order of draws and answers, so the trace gives it.
// Everything else about a draw follows from the rules, and a draw that breaks them is an error.
import type { Fiber, Result } from "./interpreter.ts"
import { keyOf, Memory, type Model, Provider, Reader, type Sample } from "./models.ts"

/** A draw from a model of the stack, by a fiber or by the model above. */
export interface Start {
  readonly event: "start"
  readonly id: number
  readonly level: number
  readonly fiber: number | undefined
  /** The fiber that the draw is for: its own, or the one that started the request. */
  readonly starter: number
  readonly key: string
  readonly position: number
  readonly batch: number
}

export type Event =
  | Start
  | { readonly event: "end"; readonly id: number; readonly got: ReadonlyArray<Sample> | "failed" | "interrupted" }
  /** A fiber gives back unused samples. */
  | { readonly event: "giveBack"; readonly fiber: number; readonly texts: ReadonlyArray<string> }

/** The draws in their order, and the results of the fibers. */
export interface Trace {
  readonly events: ReadonlyArray<Event>
  readonly results: ReadonlyArray<Result>
}

interface Open extends Start {
  /** The position that a reader took for it. */
  readonly read: number | undefined
  /** The positions that the memory above ordered by it. */
  readonly ordered: ReadonlyArray<number>
}

export const follow = (
  models: ReadonlyArray<Provider | Model>,
  provider: Provider,
  fibers: ReadonlyArray<Fiber>,
  { events, results }: Trace
): ReadonlyArray<Result> => {
  const open = new Map<number, Open>()
  const got = fibers.map((): Array<string> => [])
  const owed = fibers.map(() => 0)
  const last = new Map<number, Extract<Event, { event: "end" }>["got"]>()
  const gaveBack = new Set<number>()
  const failed = new Map<Provider | Model, Set<string>>(models.map((model) => [model, new Set()]))
  // Between draws, the library may start to count the draws of a provider anew.
  const offsets = new Map<string, number>()

  const drawsFrom = (model: Provider | Model, key: string) =>
    [...open.values()].filter((draw) => models[draw.level] === model && draw.key === key)

  const start = (event: Start): void => {
    const { batch, fiber, id, key, level } = event
    const source = models[level]!
    const above = fiber === undefined ? models[level - 1]! : undefined
    let { position } = event
    let ordered: ReadonlyArray<number> = []
    if (fiber !== undefined) {
      const { take } = fibers[fiber]!
      const wanted = take.many ? take.n - got[fiber]!.length : owed[fiber]! || take.batch
      expect(key, keyOf(take.prompt, take.path), "the fiber's own key", event)
      expect([position, batch], [got[fiber]!.length, wanted], "the next sample of the fiber", event)
    } else if (above instanceof Memory || (above instanceof Reader && above.isOverProvider)) {
      const memory = above instanceof Memory ? above : above.source
      const isMissing = (at: number) => memory.get(key, at) === undefined && !memory.isOrdered(key, at)
      let asked = drawsFrom(above, key)
      if (above instanceof Reader) {
        const at = asked.find(({ read }) => isMissing(read!))?.read ?? refuse("no one asked for it", event)
        if (!offsets.has(key)) offsets.set(key, position - at)
        position -= offsets.get(key)!
      }
      if (!isMissing(position)) refuse("it is there, or being drawn already", event)
      asked = asked.filter((draw) => (draw.read ?? draw.position) === position)
      const n = source instanceof Provider ? source.requestSize(batch) : batch
      const order = asked.map((draw) => memory.order(key, position, draw.batch)).find((order) => order.n === n) ??
        refuse("no one asked for it, or for so many", event)
      order.begin()
      ordered = order.positions
    } else if (!drawsFrom(above!, key).some((draw) => draw.read === position && draw.batch === batch)) {
      refuse("this is not the next position of the reader", event)
    }
    if (source instanceof Provider) provider.send(key, provider.requestSize(batch))
    if (source instanceof Memory) source.tell(key)
    open.set(id, { ...event, ordered, read: source instanceof Reader ? source.take(key) : undefined })
  }

  const end = (event: Extract<Event, { event: "end" }>): void => {
    const draw = open.get(event.id)!
    open.delete(event.id)
    const { batch, fiber, key, level, ordered, position, read, starter } = draw
    const source = models[level]!
    const above = fiber === undefined ? models[level - 1]! : undefined
    const at = read ?? position
    const drawn = Array.isArray(event.got) ? event.got as ReadonlyArray<Sample> : undefined

    if (event.got === "interrupted") {
      if (ordered.length > 0 || (fiber !== undefined && fibers[fiber]!.interrupted === undefined)) {
        refuse("it was interrupted, and no one interrupts it", event)
      }
    } else if (source instanceof Provider) {
      expect(drawn, provider.answer(key, provider.requestSize(batch)), "what the provider sold", event)
    } else if (drawn !== undefined) {
      const sample = source instanceof Memory ? source.get(key, at) : source.sampleAt(key, at)
      expect(drawn, [sample], "the sample at its position", event)
    } else {
      const beneath = source instanceof Reader ? source.source : source
      if (!failed.get(source)!.has(`${key} ${at}`) && !failed.get(beneath)?.has(`${key} ${at}`)) {
        refuse("it failed, and what it waited for did not", event)
      }
    }

    if (source instanceof Reader) {
      if (drawn === undefined) source.giveBack(key, at)
      // With a request in flight, it counts on.
      const isRequested = [...open.values()].some((draw) =>
        draw.fiber === undefined && draw.level > level && draw.key === key
      )
      if (source.isOverProvider && !isRequested && drawsFrom(source, key).length === 0) offsets.delete(key)
    }
    if (ordered.length > 0) {
      const memory = above instanceof Reader ? above.source : above as Memory
      memory.receive(key, ordered, drawn)
      if (drawn === undefined) { for (const one of ordered) failed.get(above!)!.add(`${key} ${one}`) }
    }
    if (source instanceof Provider && drawn !== undefined) owed[starter] = source.owed
    if (fiber !== undefined) {
      last.set(fiber, event.got)
      got[fiber]!.push(...drawn?.map(({ text }) => text) ?? [])
    }
  }

  const giveBack = (event: Extract<Event, { event: "giveBack" }>): void => {
    const { many, level, path, prompt } = fibers[event.fiber]!.take
    const reader = models[level % models.length] as Reader
    const key = keyOf(prompt, path)
    if (!many || gaveBack.has(event.fiber)) refuse("nothing is to be given back", event)
    expect(event.texts, got[event.fiber], "all that it had", event)
    gaveBack.add(event.fiber)
    for (const position of reader.taken(key)) {
      if (event.texts.includes(reader.sampleAt(key, position)?.text ?? "")) reader.giveBack(key, position)
    }
  }

  for (const event of events) {
    if (event.event === "start") start(event)
    else if (event.event === "end") end(event)
    else giveBack(event)
  }
  expect([...open.values()], [], "nothing under way when all are done", undefined)

  return fibers.map(({ interrupted, take }, fiber) => {
    const result = results[fiber]!
    if (typeof result === "string" && take.many && models[take.level % models.length] instanceof Reader) {
      expect(gaveBack.has(fiber), true, "what was given back", { fiber })
    }
    if (last.get(fiber) === "failed") return "failed"
    if (result === "interrupted" && interrupted !== undefined) return "interrupted"
    expect(got[fiber]!.length >= take.n, true, "all that it takes", { fiber })
    return got[fiber]!.slice(0, take.n)
  })
}

const refuse = (why: string, event: unknown): never => {
  throw new Error(`${why}: ${JSON.stringify(event)}`)
}

const expect = (actual: unknown, meant: unknown, what: string, event: unknown): void => {
  const [has, wants] = [JSON.stringify(actual), JSON.stringify(meant)]
  if (has !== wants) refuse(`it has ${has} for ${what}, which is ${wants}`, event)
}
