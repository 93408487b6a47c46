import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

type Build<ROut, E, R> = (memoMap: Layer.MemoMap, scope: Scope.Scope) => Effect.Effect<Context.Context<ROut>, E, R>

const TypeId = "~@llm-cache/core/OverModel"

/** A layer of a model that is built anew each time it is provided. It dies if a list merges it with another. */
export const notMerged = <ROut, E, R>(name: string, build: Build<ROut, E, R>): Layer.Layer<ROut, E, R> =>
  Layer.fromBuild((memoMap, scope) => Effect.andThen(checkAlone(name, memoMap, scope), build(memoMap, scope)))

/** The same, of a model over the model beneath. */
export const overModel = <ROut, E, R>(name: string, build: Build<ROut, E, R>): Layer.Layer<ROut, E, R> =>
  markOverModel(notMerged(name, build))

/** The model beneath a layer. A list of layers gives none of its elements to another, and the types allow for that. */
export const modelBeneath = <I, M>(name: string, service: Context.Key<I, M>): Effect.Effect<M, never, I> =>
  serviceOr(service, noModel(name))

/** A service, whose absence dies with this message. */
export const serviceOr = <I, S>(service: Context.Key<I, S>, message: string): Effect.Effect<S, never, I> =>
  Effect.flatMap(
    Effect.context<I>(),
    (context) =>
      Option.match(Context.getOption(context, service), {
        onNone: () => Effect.die(new Error(message)),
        onSome: Effect.succeed
      })
  )

export const markOverModel = <L extends Layer.Any>(layer: L): L => Object.assign(layer, { [TypeId]: TypeId })

/** A layer that builds another one: over the model beneath if the other is. */
export const asOverModel = <ROut, E, R>(layer: Layer.Any, build: Build<ROut, E, R>): Layer.Layer<ROut, E, R> =>
  isOverModel(layer) ? markOverModel(Layer.fromBuild(build)) : Layer.fromBuild(build)

export const isOverModel = (layer: Layer.Any): boolean => TypeId in layer

/** An element of a list of layers, which `Layer.mergeAll` builds in a scope of its own. */
interface Element {
  readonly name: string
  readonly scope: Scope.Scope
  readonly memoMap: Layer.MemoMap
}

/** The first layer of a model in each list, by the scope of the list. */
class Lists
  extends Context.Service<Lists, WeakMap<Scope.Scope, Element>>()("@llm-cache/core/internal/model/overModel/Lists")
{}

const lists = Layer.sync(Lists, () => new WeakMap())

// The types cannot tell: a list needs what each of its elements needs, and each needs only the model beneath.
const checkAlone = (name: string, memoMap: Layer.MemoMap, scope: Scope.Scope): Effect.Effect<void> => {
  const own = elementScope(scope)
  const list = own?.parent
  if (own === undefined || list === undefined) return Effect.void
  return Effect.flatMap(Layer.buildWithMemoMap(lists, memoMap, scope), (context) => {
    const first = Context.get(context, Lists)
    const other = first.get(list)
    if (other?.memoMap === memoMap && other.scope !== own) return Effect.die(new Error(merged(other.name, name)))
    first.set(list, { name, scope: own, memoMap })
    return Effect.void
  })
}

const elementScope = (scope: Scope.Scope): Scope.Scope | undefined => {
  let inner = scope
  while (inner.parent !== undefined && inner.parent.strategy !== "parallel") inner = inner.parent
  return inner.parent === undefined ? undefined : inner
}

const merged = (one: string, other: string) =>
  `${one} and ${other} are merged in one list. Each of them takes the model beneath the list, so one of them would have ` +
  `no effect. Nest them: LlmModel.stack(outermost, …, provider), or one Effect.provide for each`

const noModel = (name: string) =>
  `There is no model beneath ${name}: give a provider as the last layer of LlmModel.stack, or by an Effect.provide behind ` +
  "this one. A list, such as Effect.provide([…]), gives none of its layers to another"
