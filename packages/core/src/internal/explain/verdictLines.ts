import type { Edit, Explanation } from "../../Explain.ts"
import type { Json } from "../../Identity.ts"
import { gapAdvice, gapReason } from "../errors/replicationCacheMiss.ts"
import { jsonOf } from "./identities.ts"

/** The lines that tell a verdict. */
export const verdictLines = (explanation: Explanation): ReadonlyArray<string> => {
  switch (explanation.verdict) {
    case "exhausted": {
      const { position, present } = explanation
      const last = present.at(-1)!
      return position < last
        ? [
          `The prompt has ${count(present.length, "sample")} up to position ${last}, but none at ${position}.`,
          `${gapReason}: ${gapAdvice}.`
        ]
        : [`The prompt has ${count(present.length, "sample")}, up to position ${last}: take fewer, or record more.`]
    }
    case "otherFork":
      return [
        "The prompt is stored, but not for this fork:",
        ...some(
          explanation.forks.map(({ path, samples }) =>
            `${path.length === 0 ? "outside of forks" : `fork ${path.join(" / ")}`}: ${count(samples, "sample")}`
          )
        )
      ]
    case "otherIdentity":
      return [
        "The prompt is stored, but not for this model and its parameters:",
        ...some(
          explanation.identities.map(({ differences, identity, samples }) =>
            `${identity.name}: ${count(samples, "sample")}; ${
              differences.map(({ asked, field, stored }) => `${field} ${show(stored)}, asked ${show(asked)}`).join("; ")
            }`
          )
        )
      ]
    case "follows":
      return [`It follows from request ${explanation.from}: its prompt contains what that request asked or brought.`]
    case "near": {
      const { compared, differences, nearest: { hash, samples } } = explanation
      return [
        `The prompt is not stored. Nearest of ${number(compared)}: ${hash.slice(0, 8)}, ${count(samples, "sample")}`,
        ...some(
          differences.map(({ edits, message, role }) =>
            `${message === undefined ? "" : `message ${message} (${role}): `}${marked(edits)}`
          )
        )
      ]
    }
    case "unknown": {
      const { compared, identities } = explanation
      return [
        compared > 0
          ? `The prompt is not stored, and none of the ${number(compared)} prompts of this model is similar.`
          : "Nothing is stored for this model and its parameters.",
        ...identities.length === 0 ? ["The cache is empty."] : [`Stored are: ${identities.map(String).join("; ")}`]
      ]
    }
  }
}

const number = (n: number): string => n.toLocaleString("en-US")

const count = (n: number, what: string): string => `${number(n)} ${what}${n === 1 ? "" : "s"}`

const some = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length <= 5 ? lines : [...lines.slice(0, 5), `… and ${lines.length - 5} more`]

const show = (value: Json | undefined): string => {
  const text = jsonOf(value) ?? "not given"
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`
}

/** Long parts that are the same are cut. */
const marked = (edits: ReadonlyArray<Edit>): string =>
  edits.map(({ kind, text }, i) =>
    kind === "stored"
      ? `[-${text}-]`
      : kind === "asked"
      ? `{+${text}+}`
      : text.length <= 60
      ? text
      : `${i === 0 ? "" : text.slice(0, 25)}…${i === edits.length - 1 ? "" : text.slice(-25)}`
  ).join("")
