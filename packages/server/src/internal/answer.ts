import type { JsonObject, Sample } from "@llm-cache/core/Sample"
import { asObject } from "./json.ts"

/** The tokens of the samples of an answer. */
export interface AnswerUsage {
  readonly inputTokens: number
  readonly outputTokens: number
  /** The provider's own words, if the answer is the whole of one request. */
  readonly own: JsonObject | undefined
}

/** The usage of samples, from their metadata. A sample of a request for several has its part of the completion tokens. */
export const usageOf = (samples: ReadonlyArray<Sample>, protocol: string): AnswerUsage | undefined => {
  const requests = new Map<unknown, { readonly metadata: Sample["metadata"]; used: number }>()
  for (const sample of samples) {
    const name = sample.metadata.request ?? sample
    const request = requests.get(name)
    if (request === undefined) requests.set(name, { metadata: sample.metadata, used: 1 })
    else request.used++
  }
  const all = [...requests.values()]
  if (
    all.every(({ metadata: { inputTokens, outputTokens } }) => inputTokens === undefined && outputTokens === undefined)
  ) {
    return undefined
  }
  let inputTokens = 0
  let outputTokens = 0
  for (const { metadata, used } of all) {
    inputTokens += metadata.inputTokens ?? 0
    outputTokens += Math.round((metadata.outputTokens ?? 0) * Math.min(1, used / (metadata.requestSamples ?? 1)))
  }
  const [first] = all
  const isWhole = all.length === 1 && first!.used === (first!.metadata.requestSamples ?? 1)
  return {
    inputTokens,
    outputTokens,
    own: isWhole ? asObject(asObject(first!.metadata.rest?.[protocol])?.["usage"]) : undefined
  }
}

/** The fields of a protocol's answer beside the text of its sample. */
export const restOf = (sample: Sample | undefined, protocol: string): JsonObject =>
  asObject(sample?.metadata.rest?.[protocol]) ?? {}

/** The id of an answer: that of the provider, with an index where its answer brought several samples. */
export const answerId = (
  { positions, promptHash, samples: [first] }: {
    readonly samples: ReadonlyArray<Sample>
    readonly positions: ReadonlyArray<number>
    readonly promptHash: string
  },
  prefix: string
): string => {
  const { index = 0, responseId } = first?.metadata ?? {}
  if (responseId === undefined) return `${prefix}${promptHash.slice(0, 24)}-${positions[0] ?? 0}`
  return index === 0 ? responseId : `${responseId}-${index}`
}

/** A text in pieces, as a model streams it: words, without a broken character. */
export const piecesOf = (text: string): ReadonlyArray<string> => text.match(/\s*\S{1,16}|\s+/gu) ?? []
