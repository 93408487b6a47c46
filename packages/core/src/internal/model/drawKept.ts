import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Key } from "../../Key.ts"
import type { Model, Samples } from "../../Model.ts"
import type { SampleError } from "../../SampleError.ts"
import { noteOwed } from "./owed.ts"

/**
 * A draw in an uninterruptible region. It can be interrupted while it waits; samples that had left the sequence by then
 * are kept.
 */
export const drawKept = (
  source: Pick<Model, "sequence" | "draw" | "requestSize">,
  key: Key,
  position: number,
  batch: number
): Effect.Effect<Samples, SampleError> =>
  Effect.suspend(() => {
    let taken: Samples | undefined
    const draw = source.draw(key, position, batch, {
      of: source.draw,
      onTaken: (samples) => {
        taken = samples
      }
    })
    const kept = Effect.flatMap(
      Effect.exit(Effect.interruptible(draw)),
      (exit) => Exit.hasInterrupts(exit) && taken !== undefined ? Effect.succeed(taken) : exit
    )
    return source.sequence === "new" ? Effect.tap(kept, (samples) => noteOwed(source, batch, samples)) : kept
  })
