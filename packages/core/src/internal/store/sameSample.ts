import type { Drawn } from "../../Sample.ts"
import { sampleName } from "./sampleName.ts"

// The name and the text: a model between two stores may have changed the text of a sample.
export const contentOf = (drawn: Drawn): string => `${sampleName(drawn) ?? ""}\n${drawn.text}`

// Two samples of equal text that were requested at different times are different, if the name of either is unknown.
export const isSameSample = (one: Drawn, other: Drawn): boolean =>
  sampleName(one) !== undefined && sampleName(other) !== undefined
    ? contentOf(one) === contentOf(other)
    : one.text === other.text && (one.metadata.createdAt ?? other.metadata.createdAt) ===
        (other.metadata.createdAt ?? one.metadata.createdAt)
