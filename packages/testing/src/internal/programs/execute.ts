// Runs programs on the library.
import * as Audit from "@llm-cache/core/Audit"
import * as Fork from "@llm-cache/core/Fork"
import * as Independent from "@llm-cache/core/Independent"
import * as Key from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import * as Repeatable from "@llm-cache/core/Repeatable"
import type * as SampleError from "@llm-cache/core/SampleError"
import type * as SampleStore from "@llm-cache/core/SampleStore"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Combinators } from "../../ProgramTest.ts"
import * as TestModel from "../../TestModel.ts"
import type { Event, Trace } from "./follow.ts"
import { byKey, forked, type Outcome, type Program, type Result, show, type Take } from "./interpreter.ts"
import { brought, keyOf } from "./models.ts"
import { paths, prompts } from "./random.ts"

/** The stores and combinators of a program. */
export interface Parts {
  /** Opens the stores of a process, by the heights of their models: the same places in each process. */
  readonly open: Effect.Effect<(level: number) => SampleStore.Store, never, Scope.Scope>
  readonly combinators: Combinators
  readonly deleteSample: (store: SampleStore.Store, key: Key.Key, position: number) => Effect.Effect<void>
}

/** A provider like the interpreter's: it counts the samples of each key, and fails by the fork. */
const makeProvider = Effect.fnUntraced(function*({ extra, maxBatch }: Program) {
  const sold = new Map<string, number>()
  const state = {
    requests: [] as Array<string>,
    failures: new Map<string, number>(),
    get underWay() {
      return testModel.inFlight
    },
    gate: Effect.yieldNow as Effect.Effect<unknown>,
    /** The events since the last step. */
    events: [] as Array<Event>
  }
  const script = Effect.fnUntraced(function*(request: TestModel.Request) {
    const path = request.path.join("/")
    const key = keyOf(request.prompt, path)
    state.requests.push(`${key} ${request.n}`)
    yield* state.gate
    const failures = state.failures.get(path) ?? 0
    state.failures.set(path, Math.max(0, failures - 1))
    if (failures > 0) return yield* TestModel.serverFault
    const first = sold.get(key) ?? 0
    const number = brought(request.n, extra)
    sold.set(key, first + number)
    return Array.from({ length: number }, (_, i) => `${key} #${first + i}`)
  })
  const testModel: TestModel.TestModel["Service"] = yield* Effect.orDie(TestModel.make({ maxBatch, script }))
  return { model: testModel.model, state }
})

/** The fiber that a draw is for. The fiber of a request inherits it. */
const CurrentStarter = Context.Reference("test/CurrentStarter", { defaultValue: () => 0 })

/** Writes down the draws from a model, by a fiber or by the model above. */
const noted = (events: Array<Event>, model: LlmModel.Model, level: number, fiber?: number): LlmModel.Model => {
  const { giveBack } = model
  return LlmModel.fromDraw({
    ...model,
    draw: (key, position, batch) =>
      Effect.flatMap(CurrentStarter, (starter) => {
        const id = events.length
        events.push({
          event: "start",
          id,
          level,
          fiber,
          starter,
          key: keyOf(key.prompt, key.path.join("/")),
          position,
          batch
        })
        return Effect.onExit(model.draw(key, position, batch), (exit) =>
          Effect.sync(() =>
            events.push({
              event: "end",
              id,
              got: Exit.isSuccess(exit)
                ? exit.value.map(({ origins, text }) => ({ text, origins }))
                : Exit.hasInterrupts(exit)
                ? "interrupted"
                : "failed"
            })
          ))
      }),
    giveBack: giveBack && fiber !== undefined
      ? (key, drawn) => {
        events.push({ event: "giveBack", fiber, texts: drawn.map(({ text }) => text) })
        return giveBack(key, drawn)
      }
      : giveBack
  })
}

const unwatched: Pick<Audit.Audit["Service"], "watch"> = { watch: (model) => model }

/** An audit that, when its scope closes, dies if an Independent handed out a sample twice. */
const checkedAudit = Effect.acquireRelease(Audit.make, ({ check }) => Effect.orDie(check))

/** The models of a stack, the outermost first and the provider last. An audit draws each sample; without one, models peek too. */
const build = Effect.fnUntraced(function*(
  stack: Program["stack"],
  source: LlmModel.Model,
  storeAt: (level: number) => SampleStore.Store,
  { independent = Independent.make, persistent = Persistent.make, repeatable = Repeatable.make }: Combinators,
  events: Array<Event>,
  isWatched: boolean
) {
  const models = [source]
  for (const [level, combinator] of [...stack.entries()].toReversed()) {
    const beneath = models[0]!
    // An audit for each, since they share the source.
    const { watch } = isWatched ? yield* checkedAudit : unwatched
    const isSame = combinator === "Independent" && beneath.sequence === "shared"
    const watched = watch(isSame ? beneath : noted(events, beneath, level + 1), "source")
    const above = yield* Effect.orDie(
      combinator === "Independent"
        ? independent(watched)
        : combinator === "Repeatable"
        ? repeatable(watched)
        : persistent(watched, storeAt(level))
    )
    models.unshift(watch(above, combinator))
  }
  return models
})

const using = (model: LlmModel.Model) => Effect.provideService(LlmModel.LlmModel, model)

const inForks = <A, E, R>(self: Effect.Effect<A, E, R>, path: string): Effect.Effect<A, E, R> =>
  path === "" ? self : path.split("/").reduceRight((inner, name) => Fork.fork(inner, name), self)

const turns = (n: number) => Effect.replicateEffect(Effect.yieldNow, n, { discard: true })

const takeFrom = (model: LlmModel.Model, { batch, many, n, path, prompt }: Take, pace = 0) =>
  (many ? LlmModel.sampleMany(prompt, n) : LlmModel.sample(prompt, { batch }).pipe(
    Stream.take(n),
    Stream.tap(() => turns(pace)),
    Stream.runCollect
  )).pipe(using(model), (self) => inForks(self, path))

const take = (models: ReadonlyArray<LlmModel.Model>, one: Take) => takeFrom(models[one.level % models.length]!, one)

const resultOf = (exit: Exit.Exit<ReadonlyArray<string>, SampleError.SampleError>): Effect.Effect<Result> =>
  Exit.isSuccess(exit)
    ? Effect.succeed(exit.value)
    : Cause.hasInterrupts(exit.cause)
    ? Effect.succeed("interrupted")
    : Cause.hasDies(exit.cause)
    ? Effect.failCause(exit.cause as Cause.Cause<never>)
    : Effect.succeed("failed")

/** Runs a program. Fibers take turns only where they wait, so that events are written down in their order. */
export const execute = Effect.fnUntraced(function*(
  program: Program,
  { combinators, deleteSample, open }: Parts
) {
  const { model, state } = yield* makeProvider(program)
  const persistent = Effect.map(
    open,
    (storeAt) => program.stack.flatMap((combinator, level) => combinator === "Persistent" ? [storeAt(level)] : [])
  )
  const keyFor = (prompt: string, path: string) =>
    new Key.Key(model.identity, prompt, path === "" ? [] : path.split("/"))

  const interrupted = Effect.fnUntraced(function*(models: ReadonlyArray<LlmModel.Model>, one: Take) {
    const gate = yield* Deferred.make<void>()
    state.gate = Deferred.await(gate)
    const fiber = yield* Effect.forkChild(take(models, one), { startImmediately: true })
    while (state.underWay === 0 && fiber.pollUnsafe() === undefined) yield* Effect.yieldNow
    yield* Fiber.interrupt(fiber)
    state.gate = Effect.yieldNow
    yield* Deferred.succeed(gate, undefined)
    // Until every level has stored the answer.
    yield* turns(30)
    return [yield* Effect.flatMap(Fiber.await(fiber), resultOf)]
  })

  const traces: Array<Trace> = []
  const together = Effect.fnUntraced(function*(
    models: ReadonlyArray<LlmModel.Model>,
    { fibers, requests }: Extract<Program["steps"][number], { do: "together" }>
  ) {
    const { events } = state
    events.length = 0
    let request = 0
    state.gate = Effect.suspend(() => turns(requests[request++ % requests.length]!))
    const running: Array<Fiber.Fiber<ReadonlyArray<string>, SampleError.SampleError>> = []
    const isDone = () =>
      state.underWay === 0 && fibers.every((_, i) => running[i] !== undefined && running[i].pollUnsafe() !== undefined)
    for (let turn = 0; !isDone(); turn++) {
      if (turn === 300) return yield* Effect.die(new Error(`stuck, after ${JSON.stringify(events)}`))
      for (const [i, { interrupted, pace, start, take }] of fibers.entries()) {
        if (turn === start) {
          const level = take.level % models.length
          running[i] = yield* takeFrom(noted(events, models[level]!, level, i), take, pace).pipe(
            Effect.provideService(CurrentStarter, i),
            Effect.forkChild({ startImmediately: true })
          )
        }
        if (interrupted !== undefined && turn === start + interrupted) running[i]!.interruptUnsafe()
      }
      yield* Effect.yieldNow
    }
    yield* turns(30)
    state.gate = Effect.yieldNow
    const results = yield* Effect.forEach(running, (fiber) => Effect.flatMap(Fiber.await(fiber), resultOf))
    traces.push({ events: [...events], results })
    return results
  })

  const run = (
    models: ReadonlyArray<LlmModel.Model>,
    step: Exclude<Program["steps"][number], { do: "restart" | "delete" }>
  ): Effect.Effect<ReadonlyArray<Result>> => {
    switch (step.do) {
      case "take":
        return Effect.map(Effect.flatMap(Effect.exit(take(models, step.take)), resultOf), (result) => [result])
      case "atOnce":
        return Effect.forEach(
          forked(step.takes),
          (one) => Effect.flatMap(Effect.exit(take(models, one)), resultOf),
          { concurrency: "unbounded" }
        )
      case "together":
        return together(models, step)
      case "fail":
        return Effect.sync(() => {
          state.failures.set(step.path, step.requests)
          return []
        })
      case "interrupt":
        return interrupted(models, step.take)
    }
  }

  const steps: Array<Outcome["steps"][number]> = []
  while (true) {
    // One process.
    yield* Effect.scoped(Effect.gen(function*() {
      const models = yield* build(
        program.stack,
        model,
        yield* open,
        combinators,
        state.events,
        program.steps.length % 2 === 0
      )
      for (let step = program.steps[steps.length]; step !== undefined; step = program.steps[steps.length]) {
        if (step.do === "restart" || step.do === "delete") break
        state.requests.length = 0
        const results = yield* run(models, step)
        steps.push({ results, requests: byKey(state.requests) })
      }
    }))
    const last = program.steps[steps.length]
    if (last === undefined) break
    if (last.do === "delete") {
      const { path, position, prompt, store } = last
      yield* Effect.scoped(Effect.gen(function*() {
        const stores = yield* persistent
        const one = stores[store % stores.length]
        if (one !== undefined) yield* deleteSample(one, keyFor(prompt, path), position)
      }))
    }
    steps.push({ results: [], requests: [] })
  }

  const keys = prompts.flatMap((prompt) => allPaths.map((path) => ({ path, prompt })))
  const contentOf = (store: SampleStore.Store) =>
    Effect.forEach(keys, ({ path, prompt }) => {
      const key = keyFor(prompt, path)
      return Effect.flatMap(store.positions(key), (positions) =>
        Effect.map(
          Effect.forEach(
            positions,
            (position) => Effect.map(store.get(key, position), (drawn) => [position, drawn!] as const)
          ),
          (samples) => [keyOf(prompt, path), new Map(samples)] as const
        ))
    })
  const outcome: Outcome = {
    steps,
    stores: yield* Effect.scoped(
      Effect.flatMap(
        persistent,
        (stores) =>
          Effect.orDie(
            Effect.forEach(stores, (store) => Effect.map(contentOf(store), (entries) => show(new Map(entries))))
          )
      )
    )
  }
  return { outcome, traces }
}, Effect.provideService(References.MaxOpsBeforeYield, 20_000))

// With the forks of takes at once.
const allPaths = [
  ...new Set(paths.flatMap((path) => [path, ...[0, 1, 2].map((i) => path === "" ? `${i}` : `${path}/${i}`)]))
]
