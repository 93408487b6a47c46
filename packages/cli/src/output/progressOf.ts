import type { Progress } from "@llm-cache/core/Transfer"
import type * as Effect from "effect/Effect"
import { count } from "./format.ts"
import type { Output } from "./Output.ts"

/** Shows the progress of a transfer. */
export const progressOf =
  (output: Output["Service"], verb: string) => ({ done, rate, total }: Progress): Effect.Effect<void> =>
    output.progress(`${verb} ${count(done)} of ${count(total)} samples, ${count(Math.round(rate))} a second`)
