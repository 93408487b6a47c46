import { Fork, Key, LlmModel, MemoryStore, SampleError, SampleStore } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Cause, Context, Deferred, Effect, Exit, Fiber, References, Schema, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { using } from "../support/provider.ts"
import { buildOver, Combinator, count, directoryStore } from "../support/stack.ts"
import type { Event, Trace } from "./follow.ts"
import { byKey, forked, type Outcome, type Program, type Result, show, type Take } from "./interpreter.ts"
import { brought, keyOf } from "./models.ts"

const prompts = ["a", "b"]
// Few keys, so that the steps of a program meet.
const paths = ["", "0"]

const TakeOf = Schema.Struct({
  prompt: Schema.Literals(prompts),
  path: Schema.Literals(paths),
  n: count(1, 5),
  many: Schema.Boolean,
  batch: count(1, 6),
  level: count(0, 5)
})

const TakeStep = Schema.Struct({ do: Schema.Literal("take"), take: TakeOf })

const Together = Schema.Struct({
  do: Schema.Literal("together"),
  fibers: Schema.Array(Schema.Struct({
    take: TakeOf,
    start: count(0, 5),
    pace: count(0, 4),
    interrupted: Schema.UndefinedOr(count(0, 12))
  })).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
  requests: Schema.Array(count(0, 6)).check(Schema.isMinLength(1), Schema.isMaxLength(3))
})

/** Random programs, which the runner of properties shrinks. */
export const Programs = Schema.Struct({
  stack: Schema.Array(Combinator).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
  maxBatch: count(1, 6),
  extra: count(-2, 2),
  steps: Schema.Array(Schema.Union([
    TakeStep,
    Schema.Struct({ do: Schema.Literal("restart") }),
    Schema.Struct({ do: Schema.Literal("interrupt"), take: TakeOf }),
    Schema.Struct({ do: Schema.Literal("fail"), path: Schema.Literals(paths), requests: count(1, 3) }),
    Schema.Struct({ do: Schema.Literal("atOnce"), takes: Schema.Array(TakeOf).check(Schema.isMaxLength(3)) }),
    Together,
    Schema.Struct({
      do: Schema.Literal("delete"),
      prompt: Schema.Literals(prompts),
      path: Schema.Literals(paths),
      position: count(0, 3),
      store: count(0, 4)
    }),
    // More often than the others.
    TakeStep,
    TakeStep,
    Together
  ])).check(Schema.isMaxLength(12))
})

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

const build = Effect.fnUntraced(function*(
  stack: Program["stack"],
  source: LlmModel.Model,
  stores: ReadonlyArray<SampleStore.Store>,
  events: Array<Event>,
  isWatched: boolean
) {
  const models = [source]
  for (const [level, combinator] of [...stack.entries()].toReversed()) {
    const beneath = models[0]!
    const isSame = combinator === "Independent" && beneath.sequence === "shared"
    const [above] = yield* buildOver(
      [combinator],
      isSame ? beneath : noted(events, beneath, level + 1),
      () => Effect.succeed(stores[level]!),
      isWatched
    )
    models.unshift(above!)
  }
  return models
})

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

/**
 * Runs a program on the library, over stores in memory or in folders of `root`. Fibers take turns only where they
 * wait, so that events are written down in their order.
 */
export const execute = Effect.fnUntraced(function*(program: Program, root?: string) {
  const { model, state } = yield* makeProvider(program)
  const memories = yield* Effect.forEach(
    program.stack,
    () => Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
  )
  const open = root === undefined
    ? Effect.succeed(memories)
    : Effect.forEach(program.stack, (_, i) => directoryStore(Path.join(root, String(i)), { durability: "process" }))

  const persistent = Effect.map(open, (stores) => stores.filter((_, i) => program.stack[i] === "Persistent"))
  const keyFor = (prompt: string, path: string) =>
    new Key.Key(model.identity, prompt, path === "" ? [] : path.split("/"))

  const remove = (
    stores: ReadonlyArray<SampleStore.Store>,
    { path, position, prompt, store }: Extract<Program["steps"][number], { do: "delete" }>
  ) => {
    const one = stores[store % stores.length]
    if (one === undefined) return Effect.void
    const key = keyFor(prompt, path)
    return root === undefined
      ? Effect.orDie(one.remove(key, [position]))
      : Effect.sync(() => Fs.rmSync(Path.join(one.describe(key), `${position}.md`), { force: true }))
  }

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
      const models = yield* build(program.stack, model, yield* open, state.events, program.steps.length % 2 === 0)
      for (let step = program.steps[steps.length]; step !== undefined; step = program.steps[steps.length]) {
        if (step.do === "restart" || step.do === "delete") break
        state.requests.length = 0
        const results = yield* run(models, step)
        steps.push({ results, requests: byKey(state.requests) })
      }
    }))
    const last = program.steps[steps.length]
    if (last === undefined) break
    if (last.do === "delete") yield* remove(yield* persistent, last)
    steps.push({ results: [], requests: [] })
  }

  const keys = prompts.flatMap((prompt) => allPaths.map((path) => ({ path, prompt })))
  const outcome: Outcome = {
    steps,
    stores: yield* Effect.forEach(yield* persistent, (store) =>
      Effect.map(
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
        }),
        (entries) => show(new Map(entries))
      ))
  }
  return { outcome, traces }
}, Effect.provideService(References.MaxOpsBeforeYield, 20_000))

// With the forks of takes at once.
const allPaths = [
  ...new Set(paths.flatMap((path) => [path, ...[0, 1, 2].map((i) => path === "" ? `${i}` : `${path}/${i}`)]))
]
