import * as SampleError from "@llm-cache/core/SampleError"
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Answer, Entry, Request, Sample, Script } from "../TestModel.ts"
import { hasPattern, noPattern } from "./patterns.ts"

/**
 * An error for scripts: the provider is down. A retry may succeed.
 *
 * @category errors
 * @since 0.1.0
 */
export const serverFault: SampleError.ProviderError = new SampleError.ProviderError({
  provider: "test",
  reason: new SampleError.ServerFault({ description: "the test model is down" })
})

/**
 * A script that answers by the prompt: the first pattern that matches decides.
 *
 * **Details**
 *
 * A text matches a prompt that contains it. The answer is a sample for every draw, a list that is used up in order, or a
 * function. A prompt that no pattern matches dies, and so does a request behind the end of a list.
 *
 * **Example** (A tool and its answer)
 *
 * ```ts
 * import { TestModel } from "@llm-cache/testing"
 *
 * const layer = TestModel.layer({
 *   script: TestModel.prompts([
 *     ["Which city?", "Paris"],
 *     [/weather in (\w+)/, [TestModel.serverFault, "sunny", "rainy"]],
 *     [/^Sum up/, ({ n, prompt }) => Array<string>(n).fill(`${prompt.length} characters`)]
 *   ])
 * })
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const prompts = (
  cases: ReadonlyArray<readonly [pattern: string | RegExp, answers: Sample | ReadonlyArray<Entry> | Script]>
): Script => {
  const scripts = cases.map(([pattern, answers]) => {
    const counts = { used: 0 }
    const script = typeof answers === "function"
      ? answers
      : Array.isArray(answers)
      ? fromList(answers, (n) => n)
      : ({ n }: Request) => Array.from<Sample>({ length: n }).fill(answers as Sample)
    return { pattern, script, counts }
  })
  const answer = (request: Request, index: number): Answer => {
    const found = scripts.find(({ pattern }) => hasPattern(request.prompt, pattern))
    if (found === undefined) return noPattern("prompt", request.prompt, cases.map(([pattern]) => pattern))
    found.counts.used++
    return found.script(request, index)
  }
  return Object.assign(answer, {
    unused: () =>
      scripts.flatMap(({ counts, pattern, script }) =>
        counts.used === 0 ? [String(pattern)] : (script as Script).unused?.() ?? []
      )
  })
}

/**
 * Options of `random`.
 *
 * @category options
 * @since 0.1.0
 */
export interface RandomOptions {
  readonly seed: number | string
  /** The samples, each as likely as the others. */
  readonly samples: Arr.NonEmptyReadonlyArray<Sample>
  /**
   * The share of requests that fail, from 0 to 1.
   *
   * @default 0
   */
  readonly failures?: number | undefined
  /** @default `serverFault` */
  readonly error?: SampleError.SampleError | undefined
}

/**
 * A script that chooses its samples at random. The choice depends on the seed, the prompt, the fork and the number of draws before, so
 * that parallel programs get the same samples in every run of the test.
 *
 * **Example** (A model that is right in most cases, and sometimes down)
 *
 * ```ts
 * import { TestModel } from "@llm-cache/testing"
 *
 * const layer = TestModel.layer({
 *   script: TestModel.random({ seed: 7, samples: ["42", "42", "41"], failures: 0.1 })
 * })
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const random = ({ error = serverFault, failures = 0, samples, seed }: RandomOptions): Script => {
  const draws = new Map<string, number>()
  return ({ n, path, prompt }) =>
    Effect.suspend(() => {
      const key = JSON.stringify([seed, prompt, path])
      const before = draws.get(key) ?? 0
      draws.set(key, before + 1)
      return Effect.gen(function*(): Effect.fn.Return<ReadonlyArray<Sample>, SampleError.SampleError> {
        if ((yield* Random.next) < failures) return yield* Effect.fail(error)
        return yield* Effect.replicateEffect(
          Random.choice(samples),
          n
        )
      }).pipe(Random.withSeed(`${key} ${before}`))
    })
}

/** A script that is a list of samples and errors. */
export const fromList = (script: ReadonlyArray<Entry>, size: (n: number) => number): Script => {
  let next = 0
  const answer = ({ n, prompt }: Request): Answer => {
    const head = script[next]
    if (head === undefined) {
      return Effect.die(
        new Error(`All entries of the test model's script are used (${next}): add one for the prompt ${prompt}`)
      )
    }
    if (isError(head)) {
      next++
      return Effect.fail(head)
    }
    const samples: Array<Sample> = []
    for (let entry: Entry | undefined = head; samples.length < size(n); entry = script[next]) {
      if (entry === undefined || isError(entry)) break
      samples.push(entry)
      next++
    }
    return samples
  }
  return Object.assign(answer, { unused: () => script.slice(next).map(describe) })
}

const describe = (entry: Entry): string =>
  typeof entry === "string" ? JSON.stringify(entry) : isError(entry) ? entry.message : JSON.stringify(entry.text)

const isError = (entry: Entry): entry is SampleError.SampleError => typeof entry !== "string" && "_tag" in entry
