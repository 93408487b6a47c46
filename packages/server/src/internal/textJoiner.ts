import type { Json } from "@llm-cache/core/Identity"
import { ChoicesJoiner, joined } from "./choicesJoiner.ts"
import { asString, fieldsOf } from "./json.ts"

/** https://platform.openai.com/docs/api-reference/completions/create */
export const makeTextJoiner = () =>
  new ChoicesJoiner<Record<string, Json>>({
    empty: () => ({}),
    join: (fields, choice) => {
      for (const [name, value] of Object.entries(fieldsOf(choice))) {
        // Some servers repeat the finish reason.
        fields[name] = typeof value === "string" && name !== "text" ? value : joined(fields[name], value)
      }
    },
    isPiece: ({ logprobs, text }) => Boolean(asString(text) || logprobs),
    whole: (fields) => ({ text: "", ...fields })
  })
