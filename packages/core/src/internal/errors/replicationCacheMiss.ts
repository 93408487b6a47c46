import type { Identity } from "../../Identity.ts"
import { sha256 } from "../sha256.ts"
import { contrast, shorten } from "./excerpt.ts"
import { forkSuffix } from "./forkSuffix.ts"
import { TaggedError } from "./taggedError.ts"

/**
 * The stored prompt that is most similar to a prompt without samples.
 *
 * @category models
 * @since 0.1.0
 */
export interface NearestPrompt {
  readonly prompt: string
  /** The index of the first character in which the two prompts differ. */
  readonly differsAt: number
}

/**
 * A replication has no sample at this position. It did not ask the model.
 *
 * **Details**
 *
 * If the prompt is unknown, `present` is empty. Otherwise the sequence is known and `position` is not in `present`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplicationCacheMiss extends TaggedError("ReplicationCacheMiss")<{
  readonly identity: Identity
  readonly prompt: string
  /** SHA-256 of the prompt, hex: the name of its folder in a directory store. */
  readonly promptHash: string
  /** The fork of the draw, the outermost name first. */
  readonly path: ReadonlyArray<string>
  /** The position of the draw. */
  readonly position: number
  /** The stored positions, in order. */
  readonly present: ReadonlyArray<number>
  /** The store that was searched. */
  readonly store: string
  /** The most similar stored prompt of this identity, if the prompt itself is not stored. */
  readonly nearest: NearestPrompt | undefined
  /** The identities in the store, the most similar first, if it has no prompt of this identity. */
  readonly stored?: ReadonlyArray<Identity> | undefined
  /** Why there is no sample: lines of the message in place of the comparison with the nearest prompt. */
  readonly explanation?: string | undefined
  /** How to record the sample, in place of the usual advice. */
  readonly advice?: string | undefined
}> {
  override get message(): string {
    const sequence = `${this.identity.toString()}${forkSuffix(this.path)}`
    const explained = this.explanation === undefined ? undefined : `\n${this.explanation}\n`
    if (this.present.length > 0) {
      const isGap = this.position < this.present.at(-1)!
      return `No sample at position ${this.position} for prompt ${this.promptHash} (${sequence}): ` +
        `${this.present.length} stored, at ${ranges(this.present)}, in ${this.store}.` +
        (explained ?? (isGap ? ` ${gapReason}. ` : " ")) +
        (this.advice ??
          `Replication does not ask the model: ${
            isGap ? gapAdvice : "take fewer samples, or record the rest without replication"
          }`)
    }
    const near = this.nearest?.prompt === this.prompt
      ? "The prompt is stored, but not for this fork"
      : this.nearest === undefined
      ? withoutPrompts(this.stored)
      : differs(this.nearest, this.prompt)
    return `Nothing is stored for prompt ${this.promptHash} (${sequence}) in ${this.store}.` +
      (explained ?? ` ${near}. `) +
      (this.advice ?? "Replication does not ask the model: record the prompt without replication")
  }

  /** The fields and the message, for logs. Of a long prompt it has the part around the difference. Hashes name both prompts. */
  override toJSON(): object {
    const { nearest, prompt } = this
    const at = nearest?.differsAt ?? 0
    return Object.assign({}, super.toJSON(), {
      prompt: shorten(prompt, at),
      nearest: nearest && {
        prompt: shorten(nearest.prompt, at),
        promptHash: sha256(nearest.prompt),
        differsAt: at
      }
    })
  }
}

/** Why a position before recorded ones has no sample. */
export const gapReason = "Its draw failed when the later ones were recorded, or its sample was removed"

export const gapAdvice = "run once without replication to draw it"

const withoutPrompts = (stored: ReadonlyArray<Identity> | undefined): string => {
  if (stored?.length === 0) return "The store is empty: check its place"
  const problem =
    "No prompt is stored for this identity: compare its name, temperature and parameters with the recorded ones"
  return stored === undefined
    ? problem
    : `${problem}: ${stored.slice(0, 5).map(String).join("; ")}${
      stored.length > 5 ? `; ${stored.length - 5} more` : ""
    }`
}

const differs = ({ differsAt, prompt }: NearestPrompt, missing: string): string => {
  const [stored, asked] = contrast(prompt, missing, differsAt)
  return `The nearest stored prompt differs from character ${differsAt}: it has ${stored} where this one has ${asked}` +
    (prompt.normalize() === missing.normalize()
      ? ". Both are one text in two forms of Unicode: call `normalize()` on every prompt"
      : "")
}

const ranges = (positions: ReadonlyArray<number>): string => {
  const parts: Array<string> = []
  for (let i = 0; i < positions.length;) {
    let j = i
    while (positions[j + 1] === positions[j]! + 1) j++
    parts.push(i === j ? `${positions[i]}` : `${positions[i]}-${positions[j]}`)
    i = j + 1
  }
  return parts.length > 10 ? `${parts.slice(0, 10).join(", ")}, …` : parts.join(", ")
}
