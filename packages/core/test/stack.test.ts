import { assert, describe, it } from "@effect/vitest"
import {
  Audit,
  Independent,
  IndependentModel,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  RepeatableModel,
  type SampleError,
  SampleStore
} from "@llm-cache/core"
import { Cause, Context, Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider, using } from "./support/provider.ts"

const one = LlmModel.sampleOne("a")
const two = Effect.all([one, one])

describe("LlmModel.stack", () => {
  it.effect("is the layers nested, the outermost first", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const model = LlmModel.stack(Independent.layer, Persistent.layer({ directory }), provider.layer)
      assert.deepStrictEqual(yield* Effect.provide(two, model), ["a #0", "a #1"])
      assert.deepStrictEqual(yield* Effect.provide(two, model), ["a #0", "a #1"])
      assert.deepStrictEqual(provider.requests, [1, 1])
    }))

  it.effect("keeps the same layer at two heights apart", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const attempt = Effect.provide(two, LlmModel.stack(Repeatable.layer))
      const attempts = Effect.all([attempt, attempt])
      const program = Effect.all([attempts, one]).pipe(
        Effect.provide(LlmModel.stack(Independent.layer, Repeatable.layer, provider.layer))
      )
      assert.deepStrictEqual(yield* program, [[["a #0", "a #0"], ["a #1", "a #1"]], "a #2"])

      const three = LlmModel.stack(Repeatable.layer, Independent.layer, Repeatable.layer, provider.layer)
      const models = yield* Layer.build(three)
      assert.strictEqual(Context.get(models, LlmModel.LlmModel), Context.get(models, RepeatableModel.RepeatableModel))
      yield* using(Context.get(models, IndependentModel.IndependentModel))(LlmModel.sampleOne("b"))
      const texts = yield* LlmModel.sampleMany("b", 2).pipe(using(Context.get(models, LlmModel.LlmModel)))
      assert.deepStrictEqual(texts, ["b #4", "b #5"])
    }))

  it.effect("keeps a composed layer at two heights apart", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let built = 0
      const counted = Layer.effect(
        LlmModel.LlmModel,
        Effect.tap(LlmModel.LlmModel, () => Effect.sync(() => built++))
      ).pipe(Layer.merge(Layer.empty))
      yield* Layer.build(LlmModel.stack(counted, Independent.layer, counted, provider.layer))
      assert.strictEqual(built, 2)
    }))

  it.effect("is a new one over each model, if its last layer takes a model", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const watched = Audit.watch(Repeatable.layer, "repeatable")
      for (const last of [Repeatable.layer, watched, LlmModel.stack(watched)]) {
        const open = LlmModel.stack(Independent.layer, last)
        const inner = Effect.provide(two, open)
        const program = Effect.all([inner, inner, one]).pipe(Effect.provide(open), using(provider.model))
        // The inner stacks remember what the outer one hands out.
        const texts = yield* Effect.provide(program, Audit.layer)
        assert.deepStrictEqual(texts.flat(), provider.given)
        provider.given.length = 0
        const { RepeatableModel: kind } = RepeatableModel
        const [innermost, outermost] = yield* Effect.all([Effect.provide(kind, open), kind]).pipe(
          Effect.provide(open),
          using(provider.model),
          Effect.provide(Audit.layer)
        )
        assert.notStrictEqual(innermost, outermost)
      }
    }))

  it.effect("is built anew in `Layer.fresh` if it ends with a layer of one's own that takes a model", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const own = Layer.effect(LlmModel.LlmModel, Effect.map(LlmModel.LlmModel, (model) => LlmModel.fromDraw(model)))
      const model = Layer.fresh(LlmModel.stack(Repeatable.layer, own))
      const attempt = Effect.provide(two, model)
      const program = Effect.all([attempt, attempt]).pipe(Effect.provide(LlmModel.stack(Independent.layer, model)))
      assert.deepStrictEqual(yield* Effect.provide(program, provider.layer), [["a #0", "a #0"], ["a #1", "a #1"]])
    }))

  it.effect("is shared by reference with its provider, as Effect shares layers", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      const model = LlmModel.stack(Independent.layer, Persistent.layer({ store }), provider.layer)
      class A extends Context.Service<A, string>()("A") {}
      class B extends Context.Service<B, string>()("B") {}
      const services = Layer.merge(
        Layer.effect(A, one).pipe(Layer.provide(model)),
        Layer.effect(B, one).pipe(Layer.provide(model))
      )
      const built = yield* Layer.build(services)
      assert.notStrictEqual(Context.get(built, A), Context.get(built, B))
    }))

  it.effect("gives each kind of model from the outermost layer that provides it", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const models = yield* Layer.build(
        LlmModel.stack(
          Repeatable.layer,
          Independent.layer,
          Persistent.layer({ store: MemoryStore.layer }),
          provider.layer
        )
      )
      const draws = <S>(model: Context.Key<S, LlmModel.Model>) =>
        Effect.all([one, one]).pipe(using(Context.getUnsafe(models, model)))
      assert.deepStrictEqual(yield* draws(IndependentModel.IndependentModel), ["a #0", "a #1"])
      assert.deepStrictEqual(yield* draws(RepeatableModel.RepeatableModel), ["a #2", "a #2"])
      assert.deepStrictEqual(yield* draws(LlmModel.LlmModel), ["a #2", "a #2"])
    }))
})

describe("Layers of models in one list", () => {
  const lists = {
    "Effect.provide": (layers: Lists) => Effect.provide(one, layers),
    "Layer.mergeAll": (layers: Lists) => Effect.provide(one, Layer.mergeAll(...layers)),
    "Layer.merge": ([a, b]: Lists) => Effect.provide(one, Layer.merge(a, b)),
    "Layer.provide": (layers: Lists) =>
      Effect.provide(one, Layer.effect(LlmModel.LlmModel, LlmModel.LlmModel).pipe(Layer.provide(layers))),
    "ManagedRuntime": (layers: Lists) =>
      Effect.flatMap(LlmModel.LlmModel, (beneath) => {
        const runtime = ManagedRuntime.make(
          Layer.mergeAll(...layers).pipe(
            Layer.provide([Layer.succeed(LlmModel.LlmModel, beneath), Audit.layer])
          )
        )
        return Effect.ensuring(
          Effect.flatMap(runtime.contextEffect, (context) => Effect.provideContext(one, context)),
          runtime.disposeEffect
        )
      })
  }
  type Over = Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel | Audit.Audit>
  type Lists = [Over, Over]

  for (const [name, provide] of Object.entries(lists)) {
    it.effect(`die when ${name} merges them, with the way to nest them`, () =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const persistent = Layer.orDie(Persistent.layer({ store: MemoryStore.layer }))
        const replication = Layer.orDie(
          Persistent.layerReplication({ store: MemoryStore.layer, model: "mock", temperature: 1 })
        )
        for (
          const layers of [
            [Independent.layer, persistent],
            [persistent, Independent.layer],
            [Repeatable.layer, persistent],
            [persistent, Layer.orDie(Persistent.layer({ store: MemoryStore.layer }))],
            [Independent.layer, replication],
            [Independent.layer, LlmModel.stack(Repeatable.layer, Independent.layer)],
            [LlmModel.retry(), Independent.layer],
            [Audit.watch(Independent.layer, "a"), persistent]
          ] satisfies Array<Lists>
        ) {
          const exit = yield* Effect.exit(provide(layers).pipe(using(provider.model), Effect.provide(Audit.layer)))
          assert.isTrue(Exit.hasDies(exit))
          assert.match(
            Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
            /merged in one list.*Nest them: LlmModel\.stack/
          )
        }
        assert.deepStrictEqual(provider.requests, [])
      }))
  }

  it.effect("die over no model, also with the provider among them, with the way to nest them", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const persistent = Layer.orDie(Persistent.layer({ store: MemoryStore.layer }))
      const layers = {
        "Independent.layer": Independent.layer,
        "Repeatable.layer": Repeatable.layer,
        "Persistent.layer": persistent,
        "LlmModel.retry": LlmModel.retry()
      }
      for (const [name, layer] of Object.entries(layers)) {
        for (const list of [[layer], [layer, provider.layer], [provider.layer, layer]]) {
          const program = Effect.provide(LlmModel.sampleOne("a"), Layer.mergeAll(Layer.empty, ...list))
          const exit = yield* Effect.exit(program as Effect.Effect<string, SampleError.SampleError>)
          assert.match(
            Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
            new RegExp(`There is no model beneath ${name}: give a provider as the last layer of LlmModel\\.stack`)
          )
        }
      }
    }))

  class A extends Context.Service<A, LlmModel.Model>()("A") {}
  class B extends Context.Service<B, LlmModel.Model>()("B") {}
  const asA = Layer.effect(A, LlmModel.LlmModel)
  const asB = Layer.effect(B, LlmModel.LlmModel)
  const store = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

  it.effect("are two models, if each is provided to a service of its own", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const alternatives = Layer.mergeAll(
        asA.pipe(Layer.provide(Persistent.layer({ store: yield* store }))),
        asB.pipe(Layer.provide(Persistent.layer({ store: yield* store }))),
        Layer.empty
      )
      const compared = Effect.flatMap(
        Effect.all([A, B]),
        Effect.forEach((model) => Effect.andThen(two, one).pipe(using(model)))
      )
      assert.deepStrictEqual(yield* Effect.provide(compared, alternatives).pipe(using(provider.model)), [
        "a #0",
        "a #1"
      ])
    }))

  const inScopesOfOneParent = Effect.gen(function*() {
    const parent = yield* Scope.fork(yield* Effect.scope, "parallel")
    yield* Layer.buildWithScope(Repeatable.layer, yield* Scope.fork(parent))
    yield* Layer.buildWithScope(Independent.layer, yield* Scope.fork(parent))
  }).pipe(Effect.scoped)

  it.effect("are no fault beside services, in programs of their own, and one after the other", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const persistent = Persistent.layer({ store: yield* store })
      const service = asA.pipe(Layer.provide(Independent.layer))
      yield* Effect.all([
        Effect.provide(two, [service, persistent]),
        Effect.provide(two, [Layer.fresh(persistent), MemoryStore.layer]),
        Effect.all([Effect.provide(two, persistent), Effect.provide(two, Independent.layer)], {
          concurrency: "unbounded"
        }),
        two.pipe(Effect.provide(Independent.layer), Effect.provide(persistent)),
        Effect.provide(two, [LlmModel.stack(Independent.layer, persistent), service]),
        Effect.provide(two, [Layer.catchCause(persistent, () => Repeatable.layer), service]),
        Effect.provide(two, [Layer.flatMap(persistent, () => Independent.layer), service]),
        Effect.scoped(Effect.andThen(Layer.build(persistent), Layer.build(Independent.layer))),
        Effect.provide(inScopesOfOneParent, [Independent.layer, MemoryStore.layer])
      ], { concurrency: "unbounded" }).pipe(using(provider.model))
    }))
})
