import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Key } from "../../Key.ts"
import type { Model, SampleOptions, Samples } from "../../Model.ts"
import type { Drawn } from "../../Sample.ts"
import type { SampleError } from "../../SampleError.ts"
import type { AnyFiber } from "../events/observe.ts"
import { checkCount, invalidCount } from "./checkCount.ts"
import { keyOf } from "./keyOf.ts"
import { lookAhead } from "./lookAhead.ts"
import { CurrentOwed, type Owed, owedBy } from "./owed.ts"
import { peekUnobserved } from "./peek.ts"

type Source = Omit<Model, "sample">

/** The stream of a prompt's samples, from the model that a fiber has. */
export const sampling = (
  modelOf: (fiber: AnyFiber) => Source,
  prompt: string,
  options: SampleOptions | undefined
): Stream.Stream<string, SampleError> =>
  Stream.fromPull(Effect.withFiberSucceed((fiber) => {
    const batch = options?.batch ?? 1
    const model = modelOf(fiber)
    const key = invalidCount("LlmModel.sample", "batch", batch) ?? keyOf(fiber, model.identity, prompt)
    return key instanceof Key ? new Run(model, key, Infinity, batch, textsOf).draw : Effect.fail(key)
  }))

const textsOf = (samples: Samples): Arr.NonEmptyReadonlyArray<string> =>
  samples.length === 1 ? [samples[0].text] : Arr.map(samples, ({ text }) => text)

/** The first sample of a prompt. */
export const firstSample = (model: Source, prompt: string): Effect.Effect<string, SampleError> =>
  Effect.withFiber((fiber) => {
    const key = keyOf(fiber, model.identity, prompt)
    if (!(key instanceof Key)) return Effect.fail(key)
    const [atHand] = peekUnobserved(fiber, model, key, 0, 1)
    return atHand !== undefined
      ? Effect.succeed(atHand.text)
      : Effect.map(model.draw(key, 0, 1), (samples) => samples[0].text)
  })

/** The first `n` samples of a prompt. Gives them all back if it fails or is interrupted. */
export const firstSamples = Effect.fnUntraced(function*(
  model: Source,
  prompt: string,
  n: number,
  batch: number | undefined
): Effect.fn.Return<Array<string>, SampleError> {
  yield* checkCount("LlmModel.sampleMany", "n", n, 0)
  if (batch !== undefined) yield* checkCount("LlmModel.sampleMany", "batch", batch)
  const key = yield* Effect.withFiber((fiber) => {
    const key = keyOf(fiber, model.identity, prompt)
    return key instanceof Key ? Effect.succeed(key) : Effect.fail(key)
  })
  const drawn: Array<Drawn> = []
  const run = new Run(model, key, n, batch, (samples) => {
    for (const sample of samples) if (drawn.length < n) drawn.push(sample)
  })
  const draws = Effect.whileLoop({ while: () => drawn.length < n, body: () => run.draw, step: () => {} })
  const { giveBack } = model
  yield* giveBack === undefined ? draws : Effect.onError(draws, () => giveBack(key, [...drawn, ...run.undelivered]))
  return drawn.map(({ text }) => text)
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

  constructor(model: Source, key: Key, n: number, batch: number | undefined, deliver: (samples: Samples) => A) {
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
      return Arr.isReadonlyArrayNonEmpty(atHand) ? Effect.succeed(this.#advance(atHand)) : draw
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
