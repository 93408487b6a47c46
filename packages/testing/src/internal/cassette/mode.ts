import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Effect from "effect/Effect"

/** Whether missing samples are requested, and whether samples that the test does not use are dropped. */
export type Mode = "record" | "replay" | "update"

export const variable = "LLM_CACHE_CASSETTES"

/** The mode of a cassette, `undefined` if it has to be there and is not. */
export const modeOf = (
  given: "auto" | "replay" | "update" | undefined,
  exists: boolean
): Effect.Effect<Mode | undefined, InvalidInput> => {
  const { CI = "", [variable]: fromEnvironment = "" } = process.env
  const mode = given ?? (fromEnvironment === "" ? "auto" : fromEnvironment)
  if (mode !== "auto" && mode !== "replay" && mode !== "update") {
    return Effect.fail(
      new InvalidInput({
        module: "Cassette.layer",
        description: `the mode ${
          JSON.stringify(mode)
        } is unknown: set ${variable} or \`mode\` to auto, replay or update`
      })
    )
  }
  if (mode === "update") return Effect.succeed("update")
  if (exists) return Effect.succeed("replay")
  return Effect.succeed(mode === "replay" || !["", "0", "false"].includes(CI.toLowerCase()) ? undefined : "record")
}
