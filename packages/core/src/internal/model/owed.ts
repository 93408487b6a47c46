import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Model, Samples } from "../../Model.ts"

/** How many samples the last request of a run brought too few. The next one asks for these, and not for a batch. */
export interface Owed {
  samples: number
}

/** The run that a fiber draws for. The fiber of a request inherits the run that started it. */
export const CurrentOwed = Context.Reference<Owed | undefined>("@llm-cache/core/internal/model/owed/CurrentOwed", {
  defaultValue: () => undefined
})

/** How many samples an answer brought too few. */
export const owedBy = ({ requestSize }: Pick<Model, "requestSize">, wanted: number, samples: Samples): number =>
  Math.max(0, requestSize(wanted) - samples.length)

/** Notes for the run that started a request how many samples the answer brought too few. */
export const noteOwed = (source: Pick<Model, "requestSize">, wanted: number, samples: Samples): Effect.Effect<void> =>
  Effect.map(CurrentOwed, (owed) => {
    if (owed !== undefined) owed.samples = owedBy(source, wanted, samples)
  })
