import type * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Effect from "effect/Effect"
import type { Span } from "effect/Tracer"

/**
 * The reaction to a provider that sent other settings than those of the identity.
 *
 * @category options
 * @since 0.1.0
 */
export type Check = "fail" | "warn" | "off"

const prefix = "gen_ai.request."

/**
 * Compares the settings that a provider writes on its span with those of the identity and of the call. Providers that write
 * none cannot be checked.
 */
export const checkSettings = (
  span: Span,
  { model, parameters, temperature }: Identity.Options,
  settings: { readonly [name: string]: unknown },
  check: Check
): Effect.Effect<void, InvalidInput> => {
  if (check === "off" || !span.attributes.has(`${prefix}model`)) return Effect.void
  const expected: Record<string, unknown> = { ...parameters, model, temperature }
  for (const setting of Object.values(settings)) {
    if (typeof setting === "object" && setting !== null) Object.assign(expected, setting)
  }
  const faults: Array<string> = []
  for (const [name, value] of Object.entries(expected)) {
    const sent = span.attributes.get(prefix + name)
    // A parameter that the provider does not write may be sent nevertheless.
    if (sent === undefined && (value === undefined || name !== "temperature")) continue
    if (JSON.stringify(sent) !== JSON.stringify(value)) faults.push(`${name} ${show(sent)} instead of ${show(value)}`)
  }
  if (faults.length === 0) return Effect.void
  const description =
    `the provider sent ${faults.join(", ")}: give \`RequestModel\` the settings of the provider's layer, ` +
    "and `CachedModel` the services of settings that calls change, as `config`"
  return check === "fail"
    ? Effect.fail(new InvalidInput({ module: "RequestModel", description: `${description}. Nothing was recorded` }))
    : Effect.logWarning(`RequestModel: ${description}`)
}

const show = (value: unknown): string => (value === undefined ? "none" : JSON.stringify(value))
