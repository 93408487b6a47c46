import type { Json } from "@llm-cache/core/Identity"
import { ChoicesJoiner, joined } from "./choicesJoiner.ts"
import { asString } from "./json.ts"

/** https://platform.openai.com/docs/api-reference/completions/create */
export const makeTextJoiner = () =>
  new ChoicesJoiner<Record<string, Json>>({
    empty: () => ({}),
    isReadable: ({ text }) => typeof (text ?? "") === "string",
    join: (fields, choice) => {
      for (const [name, value] of Object.entries(choice)) {
        // Some servers repeat the finish reason.
        fields[name] = typeof value === "string" && name !== "text" ? value : joined(fields[name], value)
      }
      return asString(choice["text"]) || choice["logprobs"] ? choice : undefined
    },
    whole: (fields) => ({ text: "", ...fields })
  })
