import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Key } from "../../Key.ts"
import type { Model, SampleOptions, Samples } from "../../Model.ts"
import type { Drawn, Sample } from "../../Sample.ts"
import type { SampleError } from "../../SampleError.ts"
import type { AnyFiber } from "../events/observe.ts"
import { checkCount, invalidCount } from "./checkCount.ts"
import { faultOf, keyOf } from "./keyOf.ts"
import { lookAhead } from "./lookAhead.ts"
import { CurrentOwed, type Owed, owedBy } from "./owed.ts"
import { peekUnobserved } from "./peek.ts"

type Source = Omit<Model, "sample">

/** What a program gets of a drawn sample. */
interface Part<A> {
  readonly of: (drawn: Drawn) => A
  /** Whether samples that were peeked have it. */
  readonly isAtHand: (samples: ReadonlyArray<Drawn>) => boolean
}

export const text: Part<string> = { of: (drawn) => drawn.text, isAtHand: () => true }

export const whole: Part<Sample> = {
  of: (drawn) => ({ text: drawn.text, metadata: drawn.metadata }),
  // A sample that was peeked may read its metadata late. If that fails, the draw has the error.
  isAtHand: (samples) => {
    try {
      return samples.every(({ metadata }) => metadata !== undefined)
    } catch {
      return false
    }
  }
}

/** The stream of a prompt's samples, from the model that a fiber has. */
export const sampling = <A>(
  modelOf: (fiber: AnyFiber) => Source,
  prompt: string,
  options: SampleOptions | undefined,
  part: Part<A>
): Stream.Stream<A, SampleError> =>
  Stream.fromPull(Effect.withFiberSucceed((fiber) => {
    const batch = options?.batch ?? 1
    const model = modelOf(fiber)
    const key = invalidCount("LlmModel.sample", "batch", batch) ?? keyOf(fiber, model.identity, prompt)
    return key instanceof Key
      ? new Run(model, key, Infinity, batch, part.isAtHand, partsOf(part)).draw
      : Effect.fail(key)
  }))

const partsOf = <A>({ of }: Part<A>) => (samples: Samples): Arr.NonEmptyReadonlyArray<A> =>
  samples.length === 1 ? [of(samples[0])] : Arr.map(samples, of)

/** The first sample of a prompt. */
export const firstSample = <A>(model: Source, prompt: string, part: Part<A>): Effect.Effect<A, SampleError> =>
  Effect.withFiber((fiber) => {
    const key = keyOf(fiber, model.identity, prompt)
    if (!(key instanceof Key)) return Effect.fail(key)
    const atHand = peekUnobserved(fiber, model, key, 0, 1)
    return Arr.isReadonlyArrayNonEmpty(atHand) && part.isAtHand(atHand)
      ? Effect.succeed(part.of(atHand[0]))
      : Effect.map(model.draw(key, 0, 1), (samples) => part.of(samples[0]))
  })

/** The first `n` samples of a key if all are at hand and nobody observes events. */
export const peekSamples = (
  model: Source,
  key: Key,
  n: number
): Effect.Effect<Samples | undefined> =>
  Effect.withFiber((fiber) => {
    const atHand = faultOf(key.prompt, key.path) === undefined ? peekUnobserved(fiber, model, key, 0, n) : []
    return Effect.succeed(
      atHand.length === n && Arr.isReadonlyArrayNonEmpty(atHand) && whole.isAtHand(atHand) ? atHand : undefined
    )
  })

/** The first `n` samples of a prompt. Gives them all back if it fails or is interrupted. */
export const firstSamples = Effect.fnUntraced(function*<A>(
  model: Source,
  prompt: string,
  n: number,
  batch: number | undefined,
  part: Part<A>
): Effect.fn.Return<Array<A>, SampleError> {
  yield* checkCount("LlmModel.sampleMany", "n", n, 0)
  if (batch !== undefined) yield* checkCount("LlmModel.sampleMany", "batch", batch)
  const key = yield* Effect.withFiber((fiber) => {
    const key = keyOf(fiber, model.identity, prompt)
    return key instanceof Key ? Effect.succeed(key) : Effect.fail(key)
  })
  return (yield* drawAll(model, key, n, batch, part.isAtHand)).map(part.of)
})

/** The first `n` samples of a key. Gives them all back if it fails or is interrupted. */
export const drawSamples = (model: Source, key: Key, n: number): Effect.Effect<ReadonlyArray<Drawn>, SampleError> =>
  Effect.suspend(() => {
    const fault = invalidCount("LlmModel.draw", "n", n, 0) ?? faultOf(key.prompt, key.path)
    return fault === undefined ? drawAll(model, key, n, undefined, whole.isAtHand) : Effect.fail(fault)
  })

const drawAll = (
  model: Source,
  key: Key,
  n: number,
  batch: number | undefined,
  isAtHand: (samples: Samples) => boolean
): Effect.Effect<ReadonlyArray<Drawn>, SampleError> =>
  Effect.suspend(() => {
    const drawn: Array<Drawn> = []
    const run = new Run(model, key, n, batch, isAtHand, (samples) => {
      for (const sample of samples) if (drawn.length < n) drawn.push(sample)
    })
    const draws = Effect.whileLoop({ while: () => drawn.length < n, body: () => run.draw, step: () => {} })
    const { giveBack } = model
    return Effect.as(
      giveBack === undefined ? draws : Effect.onError(draws, () => giveBack(key, [...drawn, ...run.undelivered])),
      drawn
    )
  })

/**
 * One run over the sequence of a key: its draws, one after the other. `deliver` gets the samples of each draw, in the
 * step in which they are counted.
 */
class Run<A> {
  /** The next draw, which `deliver`s its samples. */
  readonly draw: Effect.Effect<A, SampleError>
  readonly #model: Source
  readonly #key: Key
  /** How many samples the run takes, `Infinity` if the consumer decides. */
  readonly #n: number
  /** How many are requested at a time. @default all missing ones */
  readonly #batch: number | undefined
  readonly #deliver: (samples: Samples) => A
  #position = 0
  #wanted = 0
  readonly #owed: Owed = { samples: 0 }
  /** Samples that left the sequence before their draw returned. */
  #taken: Samples | undefined

  constructor(
    model: Source,
    key: Key,
    n: number,
    batch: number | undefined,
    isAtHand: (samples: Samples) => boolean,
    deliver: (samples: Samples) => A
  ) {
    this.#model = model
    this.#key = key
    this.#n = n
    this.#batch = batch
    this.#deliver = deliver
    this.#options = {
      of: model.draw,
      most: 1,
      onTaken: (samples) => {
        this.#taken = samples
      }
    }
    // Made once for all draws of a run: the row `independent` of the benchmark.
    const own = Effect.map(Effect.suspend(() => this.#draw()), this.#onDrawn)
    const isTold = batch !== undefined && batch > 1 && model.sequence !== "new"
    const draw = isTold ? Effect.provideService(own, CurrentOwed, this.#owed) : own
    this.draw = model.peek === undefined ? draw : Effect.withFiber((fiber) => {
      const atHand = peekUnobserved(fiber, model, key, this.#position, n - this.#position)
      return Arr.isReadonlyArrayNonEmpty(atHand) && isAtHand(atHand) ? Effect.succeed(this.#advance(atHand)) : draw
    })
  }

  get undelivered(): ReadonlyArray<Drawn> {
    return this.#taken ?? []
  }

  #advance(samples: Samples): A {
    this.#position += samples.length
    return this.#deliver(samples)
  }

  readonly #options: { readonly of: Model["draw"]; most: number; readonly onTaken: (samples: Samples) => void }

  readonly #onDrawn = (samples: Samples): A => {
    this.#taken = undefined
    // Models above a provider tell it themselves.
    if (this.#model.sequence === "new") this.#owed.samples = owedBy(this.#model, this.#wanted, samples)
    return this.#advance(samples)
  }

  #draw(): Effect.Effect<Samples, SampleError> {
    this.#wanted = this.#batch === undefined ? this.#n - this.#position : this.#owed.samples || this.#batch
    this.#options.most = this.#n === Infinity ? lookAhead(this.#position) : this.#n - this.#position
    return this.#model.draw(this.#key, this.#position, this.#wanted, this.#options)
  }
}
