import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Model, SampleOptions } from "../../Model.ts"
import type { Sample } from "../../Sample.ts"
import type { SampleError } from "../../SampleError.ts"
import type { AnyFiber } from "../events/observe.ts"
import { firstSample, firstSamples, sampling, text, whole } from "./sampling.ts"

/**
 * Samples from the model of a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Accessors<Service> {
  /** The samples of a prompt, without end. */
  readonly sample: (prompt: string, options?: SampleOptions) => Stream.Stream<string, SampleError, Service>
  /** The first sample of a run. */
  readonly sampleOne: (prompt: string) => Effect.Effect<string, SampleError, Service>
  /**
   * The first `n` samples of a run, none for 0. Missing samples are requested in batches of `batch`, by default as many as
   * are still missing. If it fails or is interrupted, it returns none of the samples, and under `Independent` the next
   * draws get them.
   */
  readonly sampleMany: (
    prompt: string,
    n: number,
    options?: SampleOptions
  ) => Effect.Effect<Array<string>, SampleError, Service>
  /** `sample`, with the metadata of each sample. */
  readonly sampleWithMetadata: (prompt: string, options?: SampleOptions) => Stream.Stream<Sample, SampleError, Service>
  /** `sampleOne`, with the metadata of the sample. */
  readonly sampleOneWithMetadata: (prompt: string) => Effect.Effect<Sample, SampleError, Service>
  /** `sampleMany`, with the metadata of each sample. */
  readonly sampleManyWithMetadata: (
    prompt: string,
    n: number,
    options?: SampleOptions
  ) => Effect.Effect<Array<Sample>, SampleError, Service>
}

/**
 * Makes the accessors of a service that is a model.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accessors = <Service>(service: Context.Key<Service, Model>): Accessors<Service> => {
  const ofService = (fiber: AnyFiber) => Context.getUnsafe(fiber.context, service)
  const use = <A>(f: (model: Model) => Effect.Effect<A, SampleError>) => Effect.flatMap(Effect.service(service), f)
  return {
    sample: (prompt, options) => sampling(ofService, prompt, options, text),
    sampleOne: (prompt) => use((model) => firstSample(model, prompt, text)),
    sampleMany: (prompt, n, options) => use((model) => firstSamples(model, prompt, n, options?.batch, text)),
    sampleWithMetadata: (prompt, options) => sampling(ofService, prompt, options, whole),
    sampleOneWithMetadata: (prompt) => use((model) => firstSample(model, prompt, whole)),
    sampleManyWithMetadata: (prompt, n, options) =>
      use((model) => firstSamples(model, prompt, n, options?.batch, whole))
  }
}
