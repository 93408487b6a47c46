import * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import { fromDraw } from "../../LlmModel.ts"
import type { Model, Samples } from "../../Model.ts"
import type { Drawn } from "../../Sample.ts"
import { ContentPolicy, ProviderError, type SampleError, UnusableResponse } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import { publishIfObserved } from "../events/observe.ts"
import { KeyMap } from "./keyMap.ts"

/**
 * How many samples in a row may be requested and excluded, from the last one of the first request on. It bounds the cost
 * of a prompt that always gets excluded answers.
 */
const mostExcluded = 10

/** The part of a sequence beneath that was read, from its first position on. */
interface Scan {
  /** The first position that was not read yet. */
  next: number
  /** The excluded positions among those that were read, in ascending order. */
  readonly excluded: Array<number>
}

/**
 * The samples of a model that remembers, without those of the given finish reasons: each of the others moves up. Its
 * position beneath is its first origin, as for a shared reader.
 */
export const excluding = (source: Model, store: Store, finishReasons: ReadonlyArray<string>): Model => {
  const scans = new KeyMap<Scan>()
  const isExcluded = ({ metadata: { finishReason } }: Drawn) =>
    finishReason !== undefined && finishReasons.includes(finishReason)

  const scanOf = (key: Key): Scan => {
    let scan = scans.get(key)
    if (scan === undefined) scans.set(key, scan = { next: 0, excluded: [] })
    return scan
  }

  const draw = (key: Key, position: number, batch: number): Effect.Effect<Samples, SampleError> =>
    Effect.suspend(() => {
      // A program may draw one sample each of many keys: they need no scan.
      const scan = position === 0 ? scans.get(key) : scanOf(key)
      let beneath = position
      for (const excluded of scan?.excluded ?? []) if (excluded <= beneath) beneath++
      // All positions before it have to be read first, as some may be excluded.
      return scan === undefined || beneath <= scan.next
        ? drawFrom(key, beneath, batch)
        : Effect.flatMap(drawFrom(key, scan.next, batch), () => draw(key, position, batch))
    })

  // The first sample from a position on that is not excluded. `requestedFrom` is the position of this draw's first request.
  const drawFrom = (
    key: Key,
    position: number,
    batch: number,
    requestedFrom?: number
  ): Effect.Effect<Samples, SampleError> =>
    Effect.flatMap(source.draw(key, position, batch), ([drawn]) => {
      const exclude = isExcluded(drawn)
      const scan = exclude ? scanOf(key) : scans.get(key)
      const isNew = scan !== undefined && advance(scan, position, exclude)
      if (!scan?.excluded.includes(position)) {
        return Effect.succeed<Samples>([{ ...drawn, origins: [position, ...drawn.origins] }])
      }
      return Effect.andThen(
        isNew
          ? publishIfObserved(() => ({ _tag: "Refused", key, position, store: store.id, sample: drawn }))
          : Effect.void,
        Effect.flatMap(store.get(key, position + 1), (recorded) => {
          // Recorded samples cost nothing: they are passed over without a limit.
          const from = requestedFrom ?? (recorded === undefined ? position : undefined)
          return from !== undefined && position - from + 1 >= mostExcluded
            ? Effect.fail(tooMany(key, drawn))
            : drawFrom(key, position + 1, batch, from)
        })
      )
    })

  return fromDraw({
    ...source,
    draw,
    leavesSamplesOut: true,
    restore: source.restore && ((key, entries) =>
      source.restore!(
        key,
        entries.flatMap(({ drawn: { origins: [position, ...origins], ...sample }, ...entry }) =>
          position === undefined ? [] : [{ ...entry, position, drawn: { ...sample, origins } }]
        )
      ))
  })
}

// Notes that a position was read. Returns whether it is newly excluded: another fiber may have read it before, or a sample
// that was handed out may have been drawn again.
const advance = (scan: Scan, position: number, exclude: boolean): boolean => {
  const isNext = position === scan.next
  if (isNext) scan.next++
  if (!exclude || scan.excluded.includes(position)) return false
  scan.excluded.push(position)
  if (!isNext) scan.excluded.sort((a, b) => a - b)
  return true
}

const tooMany = ({ identity, path }: Key, { metadata: { finishReason } }: Drawn): ProviderError => {
  const description = `${mostExcluded} samples in a row were excluded, the last one for its finish reason ` +
    `\`${finishReason}\`. They are recorded. Change the prompt or the parameters, or leave that reason out of ` +
    "`excludeFinishReasons`"
  return new ProviderError({
    provider: identity.name,
    reason: isOfPolicy(finishReason ?? "") ? new ContentPolicy({ description }) : new UnusableResponse({ description }),
    ...path.length === 0 ? undefined : { path }
  })
}

// `content_filter` of OpenAI, `refusal` of Anthropic, `SAFETY`, `PROHIBITED_CONTENT`, `BLOCKLIST`, … of Gemini
const isOfPolicy = (finishReason: string): boolean =>
  /filter|refusal|safety|prohibited|blocklist|spii|recitation/i.test(finishReason)
