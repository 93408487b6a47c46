import * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import { fromDraw, type Model } from "../../LlmModel.ts"
import type { Drawn } from "../../Sample.ts"
import { ContentPolicy, ProviderError, type SampleError, UnusableResponse } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import { publishIfObserved } from "../events/observe.ts"
import { KeyMap } from "./keyMap.ts"

/**
 * How many samples in a row may be bought and refused, from the last one of the first request on: a prompt whose every
 * answer is filtered must not be paid for for ever.
 */
const mostRefused = 10

type Draw = (key: Key, position: number, batch: number) => Effect.Effect<readonly [Drawn], SampleError>

/** What is known of a sequence beneath, from its first position on. */
interface Scan {
  /** How many of its positions were looked at. */
  position: number
  /** Those of them that are refused, in ascending order. */
  readonly refused: Array<number>
}

/**
 * The samples of a model that remembers, without those whose finish reason is refused: each of the others moves up. They
 * say where they were, as those of a shared reader do.
 */
export const excluding = (source: Model, store: Store, reasons: ReadonlyArray<string>): Model => {
  const scans = new KeyMap<Scan>()
  const isRefused = ({ metadata: { finishReason } }: Drawn) =>
    finishReason !== undefined && reasons.includes(finishReason)

  const scanOf = (key: Key): Scan => {
    let scan = scans.get(key)
    if (scan === undefined) scans.set(key, scan = { position: 0, refused: [] })
    return scan
  }

  const draw: Draw = (key, position, batch) =>
    Effect.suspend(() => {
      // Of the many keys of which one sample is drawn, nothing is kept.
      const scan = position === 0 ? scans.get(key) : scanOf(key)
      let at = position
      for (const refused of scan?.refused ?? []) if (refused <= at) at++
      // Where it is is not known before all samples in front of it were looked at.
      return scan === undefined || at <= scan.position
        ? take(key, at, batch)
        : Effect.flatMap(take(key, scan.position, batch), () => draw(key, position, batch))
    })

  const take = (key: Key, at: number, batch: number, bought?: number): ReturnType<Draw> =>
    Effect.flatMap(source.draw(key, at, batch), ([drawn]) => {
      const refuses = isRefused(drawn)
      const scan = refuses ? scanOf(key) : scans.get(key)
      const isNew = scan !== undefined && look(scan, at, refuses)
      if (!scan?.refused.includes(at)) return Effect.succeed([{ ...drawn, origins: [at, ...drawn.origins] }] as const)
      return Effect.andThen(
        isNew
          ? publishIfObserved(() => ({ _tag: "Refused", key, position: at, store: store.id, sample: drawn }))
          : Effect.void,
        Effect.flatMap(store.get(key, at + 1), (recorded) => {
          // What is recorded costs nothing, and is passed over, up to where this draw begins to buy.
          const from = bought ?? (recorded === undefined ? at : undefined)
          return from !== undefined && at - from + 1 >= mostRefused
            ? Effect.fail(tooMany(key, drawn))
            : take(key, at + 1, batch, from)
        })
      )
    })

  return fromDraw({
    ...source,
    draw,
    restore: source.restore && ((key, entries) =>
      source.restore!(
        key,
        entries.flatMap(({ drawn: { origins: [position, ...origins], ...sample }, ...entry }) =>
          position === undefined ? [] : [{ ...entry, position, drawn: { ...sample, origins } }]
        )
      ))
  })
}

// Notes whether a position is refused. Returns whether that is news: another fiber may have been there before, or someone
// may have had a sample drawn again that was handed out.
const look = (scan: Scan, at: number, refuses: boolean): boolean => {
  const isLast = at === scan.position
  if (isLast) scan.position++
  if (!refuses || scan.refused.includes(at)) return false
  scan.refused.push(at)
  if (!isLast) scan.refused.sort((a, b) => a - b)
  return true
}

const tooMany = ({ identity, path }: Key, { metadata: { finishReason } }: Drawn): ProviderError => {
  const description = `${mostRefused} samples in a row were refused, the last one because it ended with ` +
    `\`${finishReason}\`. They are on record. Change the prompt or the parameters, or leave that out of \`refuse\``
  return new ProviderError({
    provider: identity.name,
    reason: isOfPolicy(finishReason ?? "") ? new ContentPolicy({ description }) : new UnusableResponse({ description }),
    ...path.length === 0 ? undefined : { path }
  })
}

// `content_filter` of OpenAI, `refusal` of Anthropic, `SAFETY` of Gemini
const isOfPolicy = (finishReason: string): boolean => /filter|refusal|safety/i.test(finishReason)
